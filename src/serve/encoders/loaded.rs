//! The encoders of one state of an index, or of no index.

use super::lane::Lane;
use crate::batch::EncoderKind;
use crate::encode::{self, EncoderInfo};
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
    /// The index and its state, unless the encoders were chosen without one.
    index: Option<(Arc<Index>, Stamp)>,
    pub info: EncoderInfo,
    pub sparse: Option<Arc<Lane>>,
    pub dense: Option<Arc<Lane>>,
}

impl Loaded {
    /// Find the index, read which encoders it was built with, and load them; take those of `earlier` if they are the same.
    /// Without an index, load those of `choice`.
    ///
    /// # Errors
    /// [`ServeError::Index`] and [`ServeError::NoVectors`].
    pub fn load(
        path: Option<&Path>,
        choice: &EncoderChoice,
        earlier: Option<Self>,
    ) -> Result<Self, ServeError> {
        let unavailable = SearchError::EncoderUnavailable;
        let (index, info, choice) = match path {
            Some(path) => {
                let index = locate(path).map_err(SearchError::from)?;
                let stamp = Stamp::of(&index);
                let (info, choice) = OpenIndex::open(&index)?.encoders_of(choice)?;
                (Some((Arc::new(index), stamp)), info, choice)
            }
            None => {
                let info = encode::describe(choice).map_err(unavailable)?;
                (None, info, choice.clone())
            }
        };
        if let Some(earlier) = earlier
            && earlier.info == info
        {
            return Ok(Self { index, ..earlier });
        }
        if info.sparse.is_none() && info.dense.is_none() {
            return Err(ServeError::NoVectors);
        }
        let open = |kind, is_there: bool| match is_there {
            true => Lane::open(kind, &choice).map(|lane| Some(Arc::new(lane))),
            false => Ok(None),
        };
        Ok(Self {
            sparse: open(EncoderKind::Sparse, info.sparse.is_some()).map_err(unavailable)?,
            dense: open(EncoderKind::Dense, info.dense.is_some()).map_err(unavailable)?,
            index,
            info,
        })
    }

    /// Return whether the index is another one than when this was loaded.
    pub fn is_outdated(&self) -> bool {
        let index = self.index.as_ref();
        index.is_some_and(|(index, stamp)| stamp.is_outdated(index))
    }
}
