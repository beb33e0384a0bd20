//! The terminal: taken, drawn to, given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, TryRecvError};
use std::time::Duration;

use anyhow::Context as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

use super::keys::press;
use super::model::Model;
use super::screen::draw;
use super::{poll, snapshot::Snapshot};
use crate::{interrupt, terminal};

/// How soon an answer of the instance, or a signal, is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Shows the model, new every `interval`, until a key or a signal ends it.
pub(crate) fn live(model: &mut Model, url: &str, interval: Duration) -> anyhow::Result<()> {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    interrupt::once(move || over.store(true, Ordering::Relaxed))?;
    let (results, incoming) = mpsc::channel();
    let (stopper, stop) = mpsc::channel();
    let asked = url.to_owned();
    std::thread::Builder::new()
        .name("poll".to_owned())
        .spawn(move || poll::run(&asked, interval, &results, &stop))?;
    let mut screen = ratatui::try_init().context("Could not take the terminal")?;
    let shown = show(&mut screen, model, &incoming, &is_over);
    ratatui::restore();
    drop(stopper);
    shown
}

fn show(
    screen: &mut DefaultTerminal,
    model: &mut Model,
    incoming: &mpsc::Receiver<anyhow::Result<Snapshot>>,
    is_over: &AtomicBool,
) -> anyhow::Result<()> {
    let has_colours = terminal::stdout_has_colours();
    let mut has_changed = true;
    while !is_over.load(Ordering::Relaxed) {
        loop {
            match incoming.try_recv() {
                Ok(result) => model.update(result),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            has_changed = true;
        }
        if std::mem::take(&mut has_changed) {
            screen.draw(|frame| draw(frame, model, has_colours))?;
        }
        if event::poll(LOOK_EVERY)? {
            has_changed = true;
            if let Event::Key(key) = event::read()?
                && press(model, key)
            {
                break;
            }
        }
    }
    Ok(())
}
