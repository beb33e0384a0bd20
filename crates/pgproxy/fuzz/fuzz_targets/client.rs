//! A client that says anything: see `entry.rs`.
#![no_main]

#[path = "../entry.rs"]
mod entry;

use std::sync::OnceLock;

static PORT: OnceLock<u16> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|data: &[u8]| entry::run(*PORT.get_or_init(entry::start), data));
