//! Measures one process from its start: the first rotation, then warm ones.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::Lab;
use lab::rotation::Step;
use lab::runtime::{Function, RunningFunction};

/// How many warm rotations follow the first one.
const WARM: usize = 2;

/// A rotation: the four steps, and the time that the process was on a processor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rotation {
    pub(crate) steps: [Duration; 4],
    pub(crate) processor: Duration,
}

impl Rotation {
    pub(crate) fn took(&self) -> Duration {
        self.steps.iter().sum()
    }
}

/// The measurements of one process.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// The time from its start until it asked for work.
    pub(crate) ready: Duration,
    /// The time from its start until the first rotation was finished.
    pub(crate) cold: Duration,
    pub(crate) first: Rotation,
    pub(crate) warm: Vec<Rotation>,
    /// The most memory it held.
    pub(crate) memory: u64,
}

/// Starts a secret's function, under the name that the secret has for it, and rotates.
pub(crate) async fn life(lab: &Lab, secret: &str, function: Function) -> io::Result<Life> {
    let began = Instant::now();
    let function = Arc::new(function.start().await?);
    lab.attach(secret, function.clone());
    let first = rotate(lab, secret, &function).await?;
    let cold = began.elapsed();
    let mut warm = Vec::new();
    for _ in 0..WARM {
        warm.push(rotate(lab, secret, &function).await?);
    }
    let ready = function.ready_after().ok_or_else(|| io::Error::other("it never asked for work"))?;
    Ok(Life { ready, cold, first, warm, memory: function.memory_peak() })
}

/// Runs one rotation, as the service does. Any failure ends the measurement, because the time of a failed rotation means nothing.
pub(crate) async fn rotate(lab: &Lab, secret: &str, function: &RunningFunction) -> io::Result<Rotation> {
    let token = lab.secrets().begin_rotation(secret).map_err(io::Error::other)?;
    let before = function.processor_time();
    let mut rotation = Rotation::default();
    for (step, took) in Step::ALL.into_iter().zip(&mut rotation.steps) {
        let began = Instant::now();
        lab.step(secret, &token, step).await.map_err(|error| {
            let output = String::from_utf8_lossy(&function.output()).into_owned();
            io::Error::other(format!("{secret}, {}: {error:?}\n{output}", step.name()))
        })?;
        *took = began.elapsed();
    }
    rotation.processor = function.processor_time().saturating_sub(before);
    lab.secrets().end_rotation(secret).map_err(io::Error::other)?;
    Ok(rotation)
}

/// The time from the start of an idle process until it asked for work, and its memory.
pub(crate) async fn idle(function: Function) -> io::Result<(Duration, u64)> {
    let function = function.start().await?;
    function.invoke(serde_json::Value::Null).await.map_err(io::Error::other)?;
    let ready = function.ready_after().ok_or_else(|| io::Error::other("it never asked for work"))?;
    Ok((ready, function.memory_peak()))
}
