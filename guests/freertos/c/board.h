/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the tasks and the kernel's port ask of the platform; src/board.rs has it. */
#ifndef BOARD_H
#define BOARD_H

#ifndef __ASSEMBLER__
#include <stdint.h>

/* Enables the tick and the channels' bells; interrupts are still masked. */
void board_start( void );
/* Takes the tick's lateness and asks for the next one. */
void board_next_tick( void );
/* The worst lateness of a tick since the last call, in counts. */
uint64_t board_take_lateness( void );
/* Prints a numbered heartbeat and publishes it as telemetry. */
void board_heartbeat( uint64_t number, uint64_t tick, uint64_t lateness, uint64_t items );
/* One step of what keeps the watchdog quiet and the driver alive. */
void board_keep( void );
/* Says what went wrong and ends the partition. */
void board_failed( const char * what, uint32_t line ) __attribute__( ( noreturn ) );

#endif
#endif
