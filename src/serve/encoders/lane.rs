//! Threads that encode with one kind of encoder.
//!
//! An encoder belongs to one thread. A built-in one is small and runs on several threads; a model on one, since its
//! session has threads of its own.

use crate::batch::EncoderKind;
use crate::encode::{EncodeError, Encoded, Encoders, TextRole};
use crate::profile::encoders::{EncoderChoice, ModelSource};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::thread;
use tokio::sync::oneshot;

/// Jobs that wait. There are never more than connections, each with one request.
const MOST_JOBS: usize = super::connections::MOST_CONNECTIONS;

/// Threads of a built-in encoder: more gain nothing, since one thread reads and prints all requests.
const MOST_THREADS: usize = 4;

/// Texts to encode.
pub struct Job {
    pub texts: Vec<String>,
    pub role: TextRole,
    /// Most terms of a sparse vector.
    pub n_terms: usize,
    pub answer: oneshot::Sender<Result<Vec<Encoded>, EncodeError>>,
}

/// The threads of one kind. They end when it is dropped.
pub struct Lane {
    jobs: Sender<Job>,
    /// Terms of a chunk's sparse vector at most.
    pub document_terms: usize,
}

impl Lane {
    /// Load the encoder of one kind and start its threads.
    ///
    /// # Errors
    /// What [`Encoders::open`] returns. The threads of an encoder that has been loaded end again.
    pub fn open(kind: EncoderKind, choice: &EncoderChoice) -> Result<Self, EncodeError> {
        let mut choice = choice.clone();
        let source = match kind {
            EncoderKind::Sparse => {
                choice.dense = ModelSource::None;
                &choice.sparse
            }
            EncoderKind::Dense => {
                choice.sparse = ModelSource::None;
                &choice.dense
            }
        };
        let n_threads = match source {
            ModelSource::Embedded => {
                thread::available_parallelism().map_or(1, |n| n.get().min(MOST_THREADS))
            }
            // They wait for a server.
            ModelSource::Server(_) => MOST_THREADS,
            ModelSource::Directory(_) | ModelSource::None => 1,
        };
        let mut document_terms = 0;
        let (sender, receiver) = bounded(MOST_JOBS);
        for _ in 0..n_threads {
            let encoders = Encoders::open(&choice)?;
            document_terms = encoders.document_terms();
            let receiver = receiver.clone();
            thread::spawn(move || work(encoders, &receiver));
        }
        Ok(Self {
            jobs: sender,
            document_terms,
        })
    }

    /// Queue a job. Return whether it was taken: the threads may have ended, and the queue may be full.
    pub fn send(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }
}

fn work(mut encoders: Encoders, jobs: &Receiver<Job>) {
    for job in jobs {
        // The client has gone, or its time is over.
        if job.answer.is_closed() {
            continue;
        }
        let texts: Vec<&str> = job.texts.iter().map(String::as_str).collect();
        let encoded = encoders.encode_texts(&texts, job.role, job.n_terms);
        let _ = job.answer.send(encoded);
    }
}
