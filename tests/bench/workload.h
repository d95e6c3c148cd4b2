/*
 * workload - what the driver can do to a server: one function for each of its commands.
 *
 * Each parses its own options, prints one line of JSON on success, and ends the program when the server is wrong.
 */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

void workload_insert(int argc, char **argv);
void workload_seed(int argc, char **argv);
void workload_snapshot(int argc, char **argv);
void workload_catchup(int argc, char **argv);
void workload_idle(int argc, char **argv);
void workload_storm(int argc, char **argv);
void workload_wake(int argc, char **argv);

#endif
