//! The reference page, made from the table of keys. `docs/configuration.md` is this text; a test compares them.

use std::fmt::Write as _;

use super::draft::Draft;
use super::environment;
use super::keys::{SECTIONS, Section};
use super::rows::Array;

const HEAD: &str = "\
# Configuration

Paceline reads its settings, the strongest first, from the command line, from the environment, from the file that `--config`
(or `PACELINE_CONFIG`) names, and from the defaults below. Nothing is required but one of `gateway.upstream` and `postgres.url`:
the first switches the HTTP half on, the second the Postgres half.

`paceline check FILE` reports every mistake at once, with line and column, and starts nothing; `--show` prints the values in
effect and where each comes from. Unknown keys and variables are mistakes, never ignored.

- In the environment a key is `PACELINE__SECTION__KEY`, for instance `PACELINE__GATEWAY__LISTEN=0.0.0.0:8080`. Lists are
  separated by commas.
- On the command line the common keys have flags (`paceline run --help`); any key can be set by `--set section.key=value`.
- Durations bear a unit: `\"250ms\"`, `\"10s\"`, `\"5min\"`, `\"1h\"`, `\"1d\"`, also `\"1.5s\"`. Sizes too: `\"512B\"`, `\"16KiB\"`, `\"64MiB\"`, `\"1GiB\"`.
- Secrets belong into the environment or a file that only Paceline may read (`postgres.url_file`, `postgres.password_file`). They are
  never logged and never shown.

This page is printed by `paceline check --reference`.
";

/// The whole page as Markdown.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    let mut defaults = Draft::default();
    for section in SECTIONS {
        write_section(&mut page, section, &mut defaults);
        for array in section.arrays {
            write_array(&mut page, *array);
        }
    }
    let _ = write!(page, "\n## Example\n\n```toml\n{EXAMPLE}```\n");
    let _ = writeln!(
        page,
        "\nThe same upstream from the environment: `{}=http://127.0.0.1:3000`.",
        environment::variable("gateway.upstream")
    );
    page
}

fn write_section(page: &mut String, section: &Section, defaults: &mut Draft) {
    let title = match section.name {
        "" => "Top level".to_owned(),
        name => format!("`[{name}]`"),
    };
    write_head(page, &title, section.about);
    for key in section.keys() {
        let name = key.path.rsplit('.').next().unwrap_or(key.path);
        let default = match (key.default_text, key.field.show(defaults)) {
            (Some(text), _) => text.to_owned(),
            (None, Some(value)) => format!("`{value}`"),
            (None, None) => "none".to_owned(),
        };
        let (kind, about) = (key.field.kind(), key.about);
        let _ = writeln!(page, "| `{name}` | {kind} | {default} | {about} |");
    }
}

fn write_array(page: &mut String, array: &dyn Array) {
    write_head(page, &format!("`[[{}]]`", array.path()), array.about());
    for column in array.columns() {
        let default = column.default.as_deref().unwrap_or("none");
        let (name, kind, about) = (column.name, column.kind, column.about);
        let _ = writeln!(page, "| `{name}` | {kind} | {default} | {about} |");
    }
}

fn write_head(page: &mut String, title: &str, about: &str) {
    let _ = write!(
        page,
        "\n## {title}\n\n{about}\n\n| key | kind | default | meaning |\n|---|---|---|---|\n"
    );
}

/// A file that is complete and right; a test loads it.
pub(super) const EXAMPLE: &str = "\
mode = \"fix\"
drain_timeout = \"20s\"

[gateway]
listen = \"0.0.0.0:8080\"
upstream = \"http://127.0.0.1:3000\"
response_timeout = \"15s\"

[postgres]
listen = \"127.0.0.1:6432\"
url = \"postgres://app@127.0.0.1:5432/app\"
password_file = \"/run/secrets/app-password\"
pool_size = 20

[journal]
routes = [\"/jobs/{id}\", \"/companies/{id}\"]

[log]
format = \"json\"
";
