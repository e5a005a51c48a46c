/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The kernel includes <stdlib.h> and uses nothing of it in this configuration. */
#ifndef STDLIB_H
#define STDLIB_H

#include <stddef.h>

#endif
