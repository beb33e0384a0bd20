//! What the keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::model::{Model, View};

/// Rows that a page has.
const PAGE: isize = 10;

/// Says whether that was the end.
pub(super) fn press(model: &mut Model, key: KeyEvent) -> bool {
    let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if with_control => return true,
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Tab | KeyCode::Right => model.turn(1),
        KeyCode::BackTab | KeyCode::Left => model.turn(View::ALL.len() - 1),
        KeyCode::Char('1') => model.show(View::Routes),
        KeyCode::Char('2') => model.show(View::Shapes),
        KeyCode::Char('3') => model.show(View::Pools),
        KeyCode::Char('s') => model.sort_next(),
        KeyCode::Char('p' | ' ') => model.is_paused = !model.is_paused,
        KeyCode::Down | KeyCode::Char('j') => model.select(1),
        KeyCode::Up | KeyCode::Char('k') => model.select(-1),
        KeyCode::PageDown => model.select(PAGE),
        KeyCode::PageUp => model.select(-PAGE),
        KeyCode::Home => model.select(isize::MIN),
        KeyCode::End => model.select(isize::MAX),
        _ => {}
    }
    false
}
