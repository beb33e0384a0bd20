//! The screen: heading, tabs, the list, the selected row in full, the keys.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState, Wrap};

use super::model::{Model, View};
use super::table::{caption, columns, heading, rows};

/// Lines for the text of the selected row.
const TEXT_LINES: u16 = 4;
const KEYS: &str = "q quit   tab view   s sort   p pause   ↑↓ select";

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, has_colours: bool) {
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(TEXT_LINES),
        Constraint::Length(1),
    ]);
    let [top, tabs, list, text, keys] = areas.areas(frame.area());
    frame.render_widget(Line::from(heading(model)).bold(), top);
    frame.render_widget(tab_line(model), tabs);
    draw_list(frame, model, list, has_colours);
    draw_text(frame, model, text);
    let colour = |style: Style, colour| if has_colours { style.fg(colour) } else { style };
    let foot = match (&model.trouble, model.is_paused) {
        (Some(trouble), _) => {
            Line::styled(trouble.clone(), colour(Style::new().bold(), Color::Red))
        }
        (None, true) => Line::from(format!("paused   {KEYS}")).bold(),
        (None, false) => Line::from(KEYS).dim(),
    };
    frame.render_widget(foot, keys);
}

fn tab_line(model: &Model) -> Line<'static> {
    let tab = |(number, view): (usize, View)| {
        let tab = Span::from(format!(" {} {} ", number + 1, view.name()));
        if view == model.view {
            tab.add_modifier(Modifier::REVERSED)
        } else {
            tab
        }
    };
    let mut spans: Vec<_> = View::ALL.into_iter().enumerate().map(tab).collect();
    spans.push(Span::from(format!("  {}", caption(model))).dim());
    Line::from(spans)
}

fn draw_list(frame: &mut Frame<'_>, model: &Model, area: Rect, has_colours: bool) {
    let columns = columns(model.view);
    let cell = |(at, text): (usize, String)| match at {
        0 => Cell::from(text),
        _ => Cell::from(Line::from(text).right_aligned()),
    };
    let row = |cells: Vec<String>| Row::new(cells.into_iter().enumerate().map(cell));
    let titles = columns.iter().map(|column| column.title.to_owned());
    let widths = columns.iter().map(|column| match column.width {
        0 => Constraint::Fill(1),
        width => Constraint::Length(width),
    });
    let chosen = Style::new().add_modifier(Modifier::REVERSED);
    let mut header = Style::new().bold();
    if has_colours {
        header = header.fg(Color::Cyan);
    }
    let table = Table::new(rows(model).into_iter().map(row), widths)
        .header(row(titles.collect()).style(header))
        .column_spacing(0)
        .row_highlight_style(chosen);
    let mut state = TableState::new().with_selected(model.selected);
    frame.render_stateful_widget(table, area, &mut state);
}

fn draw_text(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let text = match model.view {
        View::Pools => String::new(),
        View::Routes | View::Shapes => {
            let line = model.lines().into_iter().nth(model.selected);
            line.map(|line| line.text).unwrap_or_default()
        }
    };
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }).dim(), area);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::super::model::Sort;
    use super::super::model::tests::snapshot;
    use super::*;

    fn shown(model: &Model, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, model, true)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn everything_has_its_place() {
        let mut model = Model::new(View::Routes, Sort::Time);
        model.update(Ok(snapshot(10.0, 100, 1)));
        model.update(Ok(snapshot(12.0, 120, 2)));
        let screen = shown(&model, 100, 12);
        for expected in [
            "paceline 1.2.3  fix mode  up 12 s",
            " 1 routes ",
            "by time, of the last 2.0 s",
            "p99 ms",
            "GET /jobs",
            "q quit",
        ] {
            assert!(screen.contains(expected), "{expected}: {screen}");
        }
        model.show(View::Shapes);
        assert!(shown(&model, 100, 12).contains("SELECT * FROM jobs WHERE id = $1"));
        model.show(View::Pools);
        assert!(shown(&model, 100, 12).contains("app/api"));
        model.update(Err(anyhow::anyhow!("nobody is there")));
        assert!(shown(&model, 100, 12).contains("nobody is there"));
    }

    #[test]
    fn no_size_of_the_terminal_makes_it_panic() {
        let mut model = Model::new(View::Routes, Sort::Time);
        for update in [false, true] {
            if update {
                model.update(Ok(snapshot(10.0, 100, 1)));
            }
            for view in View::ALL {
                model.show(view);
                for (width, height) in [(1, 1), (3, 2), (20, 5), (300, 100)] {
                    shown(&model, width, height);
                }
            }
        }
    }
}
