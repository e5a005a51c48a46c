// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tasks.

use crate::{bells, clock};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use embassy_executor::{SpawnError, SpawnToken, Spawner};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::{Duration, Instant, Ticker};
use guest_rt::keeper::Keeper;
use guest_rt::mailbox::Mailbox;
use guest_rt::{power, println, timer};
use spin::Mutex;

/// From sample to sample, and how many make a second.
const SAMPLE: Duration = Duration::from_millis(10);
const SAMPLES: u64 = 100;
/// From step to step of the keeper.
const SECOND: Duration = Duration::from_secs(1);
/// From deadline to deadline of the runner, and how much later it may run.
const DEADLINE: Duration = Duration::from_millis(5);
const ALLOWED: Duration = Duration::from_millis(1);

/// The tick of a sample, and the worst lateness of a tick since the sample before, in counts.
struct Sample {
    tick: u64,
    lateness: u64,
}

static QUEUE: Channel<CriticalSectionRawMutex, Sample, 256> = Channel::new();
/// Deadlines that the runner met and missed.
static MET: AtomicU64 = AtomicU64::new(0);
static MISSED: AtomicU64 = AtomicU64::new(0);

/// The keeper, until its task takes it.
static KEEPER: Mutex<Option<Keeper>> = Mutex::new(None);

/// Begins to use the mailbox.
pub(crate) fn keep(mailbox: Option<Mailbox>) {
    *KEEPER.lock() = mailbox.map(Keeper::begin);
}

/// Starts all tasks.
pub(crate) fn spawn(spawner: Spawner) {
    start(spawner, sampler());
    start(spawner, runner());
    start(spawner, reporter());
    start(spawner, keeper());
}

/// Starts a task; each is started once, so there is always a place for it.
fn start<S>(spawner: Spawner, token: Result<SpawnToken<S>, SpawnError>) {
    match token {
        Ok(token) => spawner.spawn(token),
        Err(error) => {
            println!("rtos: failed: {error:?}");
            power::off()
        }
    }
}

#[embassy_executor::task]
async fn sampler() {
    let mut ticker = Ticker::every(SAMPLE);
    for sample in 1.. {
        ticker.next().await;
        let tick = sample * SAMPLE.as_ticks();
        QUEUE.send(Sample { tick, lateness: clock::take_lateness() }).await;
    }
}

#[embassy_executor::task]
async fn runner() {
    let mut ticker = Ticker::every(DEADLINE);
    let mut due = Instant::now();
    loop {
        ticker.next().await;
        due += DEADLINE;
        let met = Instant::now() <= due + ALLOWED;
        if met { &MET } else { &MISSED }.fetch_add(1, Relaxed);
    }
}

#[embassy_executor::task]
async fn keeper() {
    let Some(mut keeper) = KEEPER.lock().take() else { return };
    let mut ticker = Ticker::every(SECOND);
    loop {
        ticker.next().await;
        keeper.step(bells::driver());
    }
}

#[embassy_executor::task]
async fn reporter() {
    let (mut heartbeat, mut items, mut worst) = (0, 0, 0);
    loop {
        let sample = QUEUE.receive().await;
        items += 1;
        worst = sample.lateness.max(worst);
        if items % SAMPLES == 0 {
            heartbeat += 1;
            beat(heartbeat, sample.tick, timer::microseconds(worst), items);
            worst = 0;
        }
    }
}

fn beat(heartbeat: u64, tick: u64, lateness: u64, items: u64) {
    bells::publish([heartbeat, tick, lateness, items]);
    let (met, missed) = (MET.load(Relaxed), MISSED.load(Relaxed));
    let (rings, told) = bells::peers();
    println!(
        "heartbeat {heartbeat} tick {tick} worst lateness {lateness} us deadlines {met} missed {missed} rings {rings} driver {told}"
    );
}
