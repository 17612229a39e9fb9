//! The encoders of one state of an index.

use super::lane::Lane;
use crate::batch::EncoderKind;
use crate::encode::EncoderInfo;
use crate::profile::encoders::EncoderChoice;
use crate::search::{OpenIndex, SearchError};
use crate::serve::error::ServeError;
use crate::serve::stamp::Stamp;
use crate::store::index::Index;
use crate::store::locate::locate;
use std::path::Path;
use std::sync::Arc;

/// Cheap to copy.
#[derive(Clone)]
pub struct Loaded {
    index: Arc<Index>,
    stamp: Stamp,
    pub info: EncoderInfo,
    pub sparse: Option<Arc<Lane>>,
    pub dense: Option<Arc<Lane>>,
}

impl Loaded {
    /// Find the index, read which encoders it was built with, and load them; take those of `earlier` if they are the same.
    ///
    /// # Errors
    /// [`ServeError::Index`] and [`ServeError::NoVectors`].
    pub fn load(
        path: &Path,
        choice: &EncoderChoice,
        earlier: Option<Self>,
    ) -> Result<Self, ServeError> {
        let index = locate(path).map_err(SearchError::from)?;
        let stamp = Stamp::of(&index);
        let (info, choice) = OpenIndex::open(&index)?.encoders_of(choice)?;
        let index = Arc::new(index);
        if let Some(earlier) = earlier
            && earlier.info == info
        {
            return Ok(Self {
                index,
                stamp,
                ..earlier
            });
        }
        if info.sparse.is_none() && info.dense.is_none() {
            return Err(ServeError::NoVectors);
        }
        let open = |kind, is_there: bool| match is_there {
            true => Lane::open(kind, &choice).map(|lane| Some(Arc::new(lane))),
            false => Ok(None),
        };
        let unavailable = SearchError::EncoderUnavailable;
        Ok(Self {
            sparse: open(EncoderKind::Sparse, info.sparse.is_some()).map_err(unavailable)?,
            dense: open(EncoderKind::Dense, info.dense.is_some()).map_err(unavailable)?,
            index,
            stamp,
            info,
        })
    }

    /// Return whether the index is another one than when this was loaded.
    pub fn is_outdated(&self) -> bool {
        self.stamp.is_outdated(&self.index)
    }
}
