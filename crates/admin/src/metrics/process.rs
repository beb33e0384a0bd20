//! The process: the names are those of every Prometheus client.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use super::sheet::{Labels, Sheet, bytes, family, seconds};
use crate::Admin;
use crate::process::Process;

pub(super) fn write(sheet: &mut Sheet<'_>, admin: &Admin) -> fmt::Result {
    let Process {
        cpu,
        resident_bytes,
        virtual_bytes,
        descriptors_open,
        descriptors_max,
        threads,
    } = Process::read();
    let one = |value: Option<f64>| value.map(|value| (Labels::new(), value));
    let count = |value: Option<u64>| one(value.map(|value| value as f64));
    let cpu = one(cpu.map(|cpu| cpu.as_secs_f64()));
    sheet.counters(&seconds("process_cpu", "User and system CPU time"), cpu)?;
    sheet.gauges(
        &bytes("process_resident_memory", "Resident memory"),
        count(resident_bytes),
    )?;
    sheet.gauges(
        &bytes("process_virtual_memory", "Virtual memory"),
        count(virtual_bytes),
    )?;
    sheet.gauges(
        &family("process_open_fds", "Open file descriptors"),
        count(descriptors_open),
    )?;
    sheet.gauges(
        &family("process_max_fds", "Most file descriptors"),
        count(descriptors_max),
    )?;
    sheet.gauges(&family("process_threads", "Threads"), count(threads))?;
    let since_epoch = admin
        .started_at
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let started = one(Some(since_epoch.as_secs_f64()));
    sheet.gauges(
        &seconds("process_start_time", "Start, since the Unix epoch"),
        started,
    )?;
    let build = vec![
        ("version", admin.parts.version.to_owned()),
        ("mode", admin.parts.mode.to_owned()),
    ];
    sheet.gauges(
        &family("paceline_build_info", "Always 1; the labels say what runs"),
        [(build, 1.0)],
    )
}
