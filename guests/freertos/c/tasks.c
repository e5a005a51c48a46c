/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Two tasks and a queue. The sampler has the higher priority: every 10 ms it
   sends the worst tick lateness since the last sample. The reporter takes the
   samples and, once a second, prints and publishes the worst of them and lets
   the keeper use the mailbox. Printing may wait for the console, so it happens
   at the lower priority only. */

#include "FreeRTOS.h"
#include "queue.h"
#include "task.h"

#define SAMPLE_TICKS     10
#define SECOND_TICKS     configTICK_RATE_HZ
#define QUEUE_LENGTH     256
#define STACK_WORDS      4096
#define REPORT_PRIORITY  1
#define SAMPLE_PRIORITY  2

typedef struct
{
    TickType_t tick;
    uint64_t lateness;
} Sample;

static QueueHandle_t samples;

static void sampler( void * unused )
{
    ( void ) unused;
    TickType_t woken = 0;

    for( ;; )
    {
        xTaskDelayUntil( &woken, SAMPLE_TICKS );
        Sample sample = { woken, board_take_lateness() };
        xQueueSend( samples, &sample, portMAX_DELAY );
    }
}

static void reporter( void * unused )
{
    ( void ) unused;
    uint64_t number = 0;
    uint64_t items = 0;
    uint64_t worst = 0;

    for( ;; )
    {
        Sample sample;
        xQueueReceive( samples, &sample, portMAX_DELAY );
        items++;

        if( sample.lateness > worst )
        {
            worst = sample.lateness;
        }

        if( sample.tick % SECOND_TICKS == 0 )
        {
            number++;
            board_heartbeat( number, sample.tick, worst, items );
            board_keep();
            worst = 0;
        }
    }
}

/* Creates everything and starts the kernel; called once by main. */
void tasks_run( void )
{
    samples = xQueueCreate( QUEUE_LENGTH, sizeof( Sample ) );
    configASSERT( samples != NULL );
    BaseType_t created = xTaskCreate( sampler, "sampler", STACK_WORDS, NULL, SAMPLE_PRIORITY, NULL );
    configASSERT( created == pdPASS );
    created = xTaskCreate( reporter, "reporter", STACK_WORDS, NULL, REPORT_PRIORITY, NULL );
    configASSERT( created == pdPASS );
    vTaskStartScheduler();
}

void vApplicationIdleHook( void )
{
    __asm volatile ( "wfi" ::: "memory" );
}

void vApplicationStackOverflowHook( TaskHandle_t task, char * name )
{
    ( void ) task;
    board_failed( name, 0 );
}

void vApplicationMallocFailedHook( void )
{
    board_failed( "heap", 0 );
}
