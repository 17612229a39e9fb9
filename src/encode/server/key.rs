//! The key that servers ask for. It is kept apart from all settings, so that none of what is written or sent to workers and
//! to other machines can hold it: every process reads its own environment.

use std::sync::OnceLock;

static KEY: OnceLock<String> = OnceLock::new();

/// Send `key` to encoder servers that the user names, as a bearer token. The first key counts; call it before encoders are
/// opened. The program takes it from `HELIX_BUILD_ENCODER_KEY`, in each worker as well.
pub fn use_key(key: String) {
    let _ = KEY.set(key);
}

/// Return the header with the key, if there is one.
pub(super) fn authorization() -> Option<String> {
    KEY.get().map(|key| format!("Bearer {key}"))
}
