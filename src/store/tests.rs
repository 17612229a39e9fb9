//! Segments, shards and the routing database together, on real files in temporary folders.

pub mod sample;

mod loading;
mod routing;
mod segments;
