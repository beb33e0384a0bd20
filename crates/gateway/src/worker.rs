//! What the connections of one worker thread share.

use std::sync::Arc;

use paceline_journal::Journal;

use crate::Config;
use crate::appraise::Appraiser;
use crate::pool::Pool;
use crate::stats::{Reach, Tally};

/// One worker's part of the gateway; never leaves its thread.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) config: Arc<Config>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) pool: Pool,
    pub(crate) appraiser: Appraiser,
}
