/* SPDX-License-Identifier: MIT */
/* cmocka's header, with what it wants before it. */
#ifndef GUEST_CMOCKA_ALL_H
#define GUEST_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
