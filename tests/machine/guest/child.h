/* SPDX-License-Identifier: MIT */
/*
 * Another program, run to its end.
 */
#ifndef GUEST_CHILD_H
#define GUEST_CHILD_H

/*
 * Returns its exit status, or -1 when it could not be started, was ended by a
 * signal or took longer than @seconds.
 */
int child_run(const char *const argv[], unsigned int seconds);

#endif
