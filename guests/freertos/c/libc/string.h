/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the kernel asks of a C library's <string.h>; Rust's compiler builtins
   define them. So the build needs a compiler and no library. */
#ifndef STRING_H
#define STRING_H

#include <stddef.h>

void * memcpy( void * to, const void * from, size_t length );
void * memset( void * to, int value, size_t length );
int memcmp( const void * left, const void * right, size_t length );
size_t strlen( const char * text );

#endif
