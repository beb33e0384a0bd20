//! Rules on the memory of the server.

mod hit_ratio;
mod temp_files;

use crate::rule::Rule;

pub(super) const RULES: &[Rule] = &[temp_files::RULE, hit_ratio::RULE];
