//! Mutexes whose content outlives a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. A panic elsewhere while it was locked leaves nothing half done in what this crate keeps in a mutex.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
