// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random words in the mailbox's page, requests for everything, and bells without
//! end. What would end this partition in order is left out: everybody may do that.

use crate::Setting;
use crate::random::Random;
use crate::tally::Tally;
use abi::mailbox::request::Request;
use abi::mailbox::ring::ANSWERS_WRITTEN;
use abi::mailbox::{Message, OWN};
use guest_rt::machine::{Registers, mask_interrupts, on_interrupt, unmask_interrupts};
use guest_rt::mailbox::Mailbox;
use guest_rt::{interrupts, println};

/// Messages if the command line does not say.
const MESSAGES: u64 = 20_000;
/// Turns in which an answer must have come.
const PATIENCE: u64 = 10_000_000;

pub(super) fn run(setting: &mut Setting, tally: &mut Tally) {
    let Some(mut mailbox) = setting.facts.and_then(|facts| facts.mailbox()) else {
        return tally.part(format_args!("no mailbox"));
    };
    take_interrupts();
    let messages = setting.number("messages=").unwrap_or(MESSAGES);
    let random = &mut setting.random;
    let own = own_row(&mut mailbox);
    let header = [0, 8, 16, 24, 32, 40, 48, 56].map(|offset| mailbox.memory().read64(offset));
    let begin = |mailbox: &mut Mailbox| {
        for (word, value) in header.iter().enumerate() {
            mailbox.memory().write64(8 * word as u64, *value);
        }
        mailbox.begin();
    };
    for number in 0..messages {
        match random.next() >> 61 {
            0 | 1 => words(mailbox.memory(), random),
            2 => words(mailbox.registers(), random),
            _ => {
                let _ = mailbox.ask(&request(random, own));
            }
        }
        mailbox.ring();
        while mailbox.answer().is_some() || mailbox.event().is_some() {}
        if number % 64 == 0 {
            begin(&mut mailbox);
        }
        if number % (messages / 10).max(1) == 0 {
            println!("mischief: mailbox {number} sent");
        }
    }
    tally.count_done(messages);
    tally.part(format_args!("messages"));
    begin(&mut mailbox);
    let _ = mailbox.ask(&Request::hello());
    if (0..PATIENCE).any(|_| mailbox.answer().is_some()) {
        tally.count_done(1);
    }
    tally.part(format_args!("answered after all"));
    for _ in 0..messages / 10 {
        mailbox.memory().write64(ANSWERS_WRITTEN.into(), setting.random.next());
        words(mailbox.memory(), &mut setting.random);
        mailbox.ring();
    }
    tally.count_done(messages / 10);
    tally.part(format_args!("with a lost count"));
    mask_interrupts();
}

/// Bochs 2.7 holds the machine's interrupts back from a guest that masks its own, and with them
/// the mailbox's server.
fn take_interrupts() {
    interrupts::init();
    on_interrupt(|| {
        while let Some(intid) = interrupts::acknowledge() {
            interrupts::end(intid);
        }
    });
    unmask_interrupts();
}

/// This partition's row, so that nothing asks for its end.
fn own_row(mailbox: &mut Mailbox) -> u16 {
    let _ = mailbox.ask(&Request::hello());
    let answer = (0..PATIENCE).find_map(|_| mailbox.answer());
    answer.map_or(0, |answer| answer.get::<abi::mailbox::body::Hello>().own.get())
}

/// Some words, at random places of a page or two.
fn words(page: &Registers, random: &mut Random) {
    for _ in 0..1 + (random.next() >> 62) {
        let offset = (random.next() >> 40) % page.size();
        let value = random.next();
        if offset & !7 == ANSWERS_WRITTEN.into() {
            // Without this count nobody can tell answers from what was there before.
            continue;
        }
        if offset & 1 == 0 {
            page.write32(offset & !3, value as u32);
        } else {
            page.write64(offset & !7, value);
        }
    }
}

/// A request for something, about somebody.
fn request(random: &mut Random, own: u16) -> Request {
    let bits = random.next();
    let partition = match bits >> 62 {
        0 => OWN,
        1 => (bits & 0xffff) as u16,
        _ => (bits & 7) as u16,
    };
    let number = 1 + (bits >> 32) as u16 % 30;
    let own = partition == OWN || partition == own;
    let ends = |message| {
        matches!(message, Message::Stop | Message::Kill | Message::Restart | Message::WatchdogArm)
    };
    let message = Message::from_number(number).filter(|message| !(own && ends(*message)));
    let mut request = Request::new(message.unwrap_or(Message::List), partition);
    request.vcpu = ((bits >> 48 & 3) as u16).into();
    request.first = (random.next() >> (random.next() & 63)).into();
    request.second = (random.next() >> (random.next() & 63)).into();
    if message.is_none() && number > Message::PowerOff.number() {
        request.message = number.into();
    }
    request
}
