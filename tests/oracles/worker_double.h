/* Workers that misbehave, for the suite `worker`: the test program is its own worker. */
#ifndef OD_TESTS_ORACLES_WORKER_DOUBLE_H
#define OD_TESTS_ORACLES_WORKER_DOUBLE_H

/* `test_oracles worker MODE` serves as MODE says (worker_double.c) and exits with the code returned. */
int worker_double(const char *mode);

#endif
