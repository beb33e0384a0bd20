//! Rules on processes that were watched.

mod memory;

use crate::rule::Rule;

pub(super) const RULES: &[Rule] = &[memory::RULE];
