/*
 * token_command - `skerry token`: mints a token with an app's key, for development, scripts and tests.
 */
#ifndef CONTROL_TOKEN_COMMAND_H
#define CONTROL_TOKEN_COMMAND_H

/* `argv[0]` is "token". Prints the token alone on standard output. Returns the exit status: 0, 1 if the app or its keys
 * are of no use, 2 if the arguments are. */
int token_command(int argc, char **argv);

#endif
