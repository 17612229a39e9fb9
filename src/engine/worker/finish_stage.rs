//! Makes vectors of what the encoders gave, and puts them into their files.

use super::items::{EncodedFile, Item, NextGone, Ran, texts_to_encode};
use crate::encode::FinishSpace;
use crossbeam_channel::{Receiver, Sender};

#[derive(Default)]
pub(super) struct FinishStage {
    space: FinishSpace,
}

impl FinishStage {
    /// Run until there are no more collections, or until the sink is gone.
    pub fn run(&mut self, collections: &Receiver<Ran>, to_sink: &Sender<Item<EncodedFile>>) {
        for ran in collections {
            if self.finish(ran, to_sink).is_err() {
                return;
            }
        }
    }

    /// Finish the files of a collection and send its items to the sink, in order.
    pub fn finish(
        &mut self,
        ran: Ran,
        to_sink: &Sender<Item<EncodedFile>>,
    ) -> Result<(), NextGone> {
        let Ran { items, raw } = ran;
        let encoded = raw.finish(&texts_to_encode(&items), &mut self.space);
        let mut encoded = encoded.into_iter();
        for item in items {
            let item = item.try_map(|file| Ok(file.with(&mut encoded)))?;
            to_sink.send(item).map_err(|_| NextGone)?;
        }
        Ok(())
    }
}
