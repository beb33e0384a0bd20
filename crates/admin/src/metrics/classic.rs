//! The classic text format (version 0.0.4), made from OpenMetrics: counters bear their suffix in the descriptor too,
//! and neither units nor an end mark exist.

use std::fmt::Write as _;

pub(super) fn from_openmetrics(page: &str) -> String {
    let mut classic = String::with_capacity(page.len());
    let mut help = None;
    for line in page.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        // The help stands before the type, which alone says whether the name gets the suffix.
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
            continue;
        }
        let counter = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.strip_suffix(" counter"));
        let suffix = if counter.is_some() { "_total" } else { "" };
        if let Some((name, text)) = help.take() {
            let _ = writeln!(classic, "# HELP {name}{suffix} {text}");
        }
        let _ = match counter {
            Some(name) => writeln!(classic, "# TYPE {name}_total counter"),
            None => writeln!(classic, "{line}"),
        };
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_get_their_suffix_and_marks_go() {
        let page = "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\na_seconds_total 1.5\n\
                    # HELP b Level.\n# TYPE b gauge\nb{x=\"# EOF\"} 2\n# EOF\n";
        let expected = "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\na_seconds_total 1.5\n\
                        # HELP b Level.\n# TYPE b gauge\nb{x=\"# EOF\"} 2\n";
        assert_eq!(from_openmetrics(page), expected);
    }
}
