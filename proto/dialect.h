/*
 * dialect - which of the contract's two dialects a session speaks: chosen at the upgrade, told to the shard at the
 * attach.
 *
 * What is marked [+] in proto/wire.md is for DIALECT_V1 alone.
 */
#ifndef PROTO_DIALECT_H
#define PROTO_DIALECT_H

enum dialect { DIALECT_BASE, DIALECT_V1 };

enum { N_DIALECTS = DIALECT_V1 + 1 };

/* The WebSocket subprotocol that asks for DIALECT_V1. */
#define SUBPROTOCOL_V1 "skerry.v1"

#endif
