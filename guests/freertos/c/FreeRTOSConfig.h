/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How this guest configures the FreeRTOS kernel.
   Manual: FreeRTOS, "Customisation" and "Using FreeRTOS on ARM Cortex-A". */
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#include "board.h"
#include <string.h> /* the port uses memset without saying so */

#define configTICK_RATE_HZ                    1000
#define configUSE_PREEMPTION                  1
#define configUSE_TIME_SLICING                1
#define configMAX_PRIORITIES                  4
#define configMINIMAL_STACK_SIZE              1024 /* words */
#define configTOTAL_HEAP_SIZE                 ( 256 * 1024 )
#define configMAX_TASK_NAME_LEN               16
#define configTICK_TYPE_WIDTH_IN_BITS         TICK_TYPE_WIDTH_64_BITS
#define configIDLE_SHOULD_YIELD               1
#define configUSE_IDLE_HOOK                   1
#define configUSE_TICK_HOOK                   0
#define configUSE_TIMERS                      0
#define configUSE_MUTEXES                     0
#define configSUPPORT_DYNAMIC_ALLOCATION      1
#define configSUPPORT_STATIC_ALLOCATION       0
#define configUSE_TASK_NOTIFICATIONS          0
#define configCHECK_FOR_STACK_OVERFLOW        2
#define configUSE_MALLOC_FAILED_HOOK          1
#define INCLUDE_xTaskDelayUntil               1

/* A virtual GICv3 has five priority bits. Interrupts that call the kernel have
   priority 20 (0xa0, what the runtime gives each) or lower; the tick has 30. */
#define configUNIQUE_INTERRUPT_PRIORITIES     32
#define configMAX_API_CALL_INTERRUPT_PRIORITY 20

/* The compiler may use vector registers anywhere, so every task has them. */
#define configUSE_TASK_FPU_SUPPORT            2

#define configSETUP_TICK_INTERRUPT()          board_start()
#define configCLEAR_TICK_INTERRUPT()          board_next_tick()
#define configASSERT( condition ) \
    do { if( !( condition ) ) board_failed( __FILE__, __LINE__ ); } while( 0 )

#endif
