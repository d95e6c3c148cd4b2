/*
 * commands - what `skerry` can be asked to do. Each takes its own arguments, argv[0] being its name, and returns the
 * exit status: 0, 1 if it could not do it, 2 if the arguments were wrong.
 */
#ifndef CONTROL_COMMANDS_H
#define CONTROL_COMMANDS_H

int serve_command(int argc, char **argv);   /* the supervisor: a router and a worker, kept alive */
int router_command(int argc, char **argv);  /* one router process */
int worker_command(int argc, char **argv);  /* one worker process */
int check_command(int argc, char **argv);   /* judges an app */
int status_command(int argc, char **argv);  /* asks a running server how it is; 1 if something is in trouble */
int backup_command(int argc, char **argv);  /* copies a scope of a running server to a file */
int journal_command(int argc, char **argv); /* looks into the journals of a stopped server; 1 if one is damaged */
int restore_command(int argc, char **argv); /* puts such a copy in the place of a scope of a running server */
int version_command(int argc, char **argv);

#endif
