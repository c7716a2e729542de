//! Keeps parameters that were set while the agent ran, for the next job and the next start.
//!
//! One file for each instance, `parameters-NAME.json` in the state directory, holds the parameters by model or app.
//! They are used as long as `job.params` of the configuration has the value that it had when they were set; after a
//! change of `job.params`, the configuration's parameters are used.
//!
//! Does not: decide when parameters are kept; the agent's loop does.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::control::PARAMS_BYTES;
use resilience::state_file::io::StateFile;

/// Maximum number of models and apps whose parameters are kept; those that were set first are dropped first.
const WORKS: usize = 8;
/// The largest file, in bytes: for each model or app it has the parameters that were set and those of the
/// configuration, which may be longer.
const FILE_BYTES: u64 = 4 * (WORKS * PARAMS_BYTES) as u64;

/// The kept parameters of one job. Clones share them. The default keeps the parameters in memory only.
#[derive(Debug, Clone, Default)]
pub struct KeptParams(Arc<ParamsStore>);

#[derive(Debug, Default)]
struct ParamsStore {
    file: Option<StateFile>,
    /// The model or app.
    work: String,
    state: Mutex<StoredParams>,
}

#[derive(Debug, Default)]
struct StoredParams {
    /// The parameters of the configuration.
    configured: Map<String, Value>,
    /// The parameters that were set since; `None` if the configuration's are in use.
    set: Option<Map<String, Value>>,
    /// Whether the parameters are not written to the file yet.
    is_unwritten: bool,
}

/// The content of the file.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    works: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    work: String,
    configured: Map<String, Value>,
    params: Map<String, Value>,
}

impl KeptParams {
    /// The parameters kept for the model or app `work` by `instance` in `directory`, with `configured` as those of the
    /// configuration. Reads the file.
    pub fn open(
        directory: Option<&Path>,
        instance: &str,
        work: &str,
        configured: Map<String, Value>,
    ) -> Self {
        let file = directory.map(|directory| {
            StateFile::new(directory, &name(instance), "kept parameters", FILE_BYTES)
        });
        let entry = file.as_ref().map(read).unwrap_or_default();
        let entry = entry.works.into_iter().find(|entry| entry.work == work);
        let set = entry.filter(|entry| entry.configured == configured).map(|entry| entry.params);
        let state = Mutex::new(StoredParams { configured, set, is_unwritten: false });
        Self(Arc::new(ParamsStore { file, work: work.to_owned(), state }))
    }

    /// The parameters to start with: those that were kept, else the configuration's.
    pub fn params(&self) -> Map<String, Value> {
        let state = self.lock();
        state.set.clone().unwrap_or_else(|| state.configured.clone())
    }

    /// Whether the parameters to start with come from the file.
    pub fn are_kept(&self) -> bool {
        self.lock().set.is_some()
    }

    /// Whether both belong to the same model or app, with the same parameters in the configuration.
    pub(super) fn is_same_job(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.work == other.0.work && self.lock().configured == other.lock().configured)
    }

    /// Keeps parameters that were set. Call [`KeptParams::write`] afterwards.
    pub(super) fn keep(&self, params: Map<String, Value>) {
        let mut state = self.lock();
        state.set = Some(params).filter(|params| *params != state.configured);
        state.is_unwritten = true;
    }

    /// Uses other parameters of the configuration from now on, in place of those that were set. Call
    /// [`KeptParams::write`] afterwards.
    pub(super) fn configure(&self, params: Map<String, Value>) {
        *self.lock() = StoredParams { configured: params, set: None, is_unwritten: true };
    }

    /// Writes the parameters to the file, if they have changed. Blocks.
    pub(super) fn write(&self) {
        let Some(file) = &self.0.file else { return };
        // The lock is held while writing, so that the last call writes the last parameters.
        let mut state = self.lock();
        if !std::mem::take(&mut state.is_unwritten) {
            return;
        }
        let mut content = read(file);
        content.works.retain(|entry| entry.work != self.0.work);
        let (work, configured) = (self.0.work.clone(), state.configured.clone());
        let entry = state.set.clone().map(|params| Entry { work, configured, params });
        content.works.splice(0..0, entry);
        content.works.truncate(WORKS);
        // Texts and JSON values always serialise.
        file.write(&serde_json::to_vec(&content).unwrap_or_default());
    }

    fn lock(&self) -> MutexGuard<'_, StoredParams> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(file: &StateFile) -> Content {
    let Some(bytes) = file.read() else { return Content::default() };
    serde_json::from_slice(&bytes).unwrap_or_else(|_| {
        file.set_aside("not the JSON of parameters");
        Content::default()
    })
}

/// The name of an instance's file.
fn name(instance: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("parameters-{}.json", instance.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    /// A state directory that is removed when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("params-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn open(&self, instance: &str, work: &str, configured: &Value) -> KeptParams {
            let configured = configured.as_object().cloned().unwrap();
            KeptParams::open(Some(&self.0), instance, work, configured)
        }

        /// The parameters that a start would use.
        #[track_caller]
        fn check(&self, instance: &str, work: &str, configured: &Value, expected: &Value) {
            let params = self.open(instance, work, configured).params();
            assert_eq!(Value::Object(params), *expected);
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn set(kept: &KeptParams, params: &Value) {
        kept.keep(params.as_object().cloned().unwrap());
        kept.write();
    }

    #[test]
    fn parameters_that_were_set_survive_a_restart_for_their_model_and_instance_alone() {
        let (state, file) = (Scratch::new("restart"), json!({ "prompt": "configured" }));
        let cat = json!({ "prompt": "a cat" });
        set(&state.open("front", "m", &file), &cat);
        state.check("front", "m", &file, &cat);
        state.check("front", "other model", &file, &file);
        state.check("back", "m", &file, &file);
        let mode = fs::metadata(state.0.join("parameters-front.json")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_changed_configuration_wins() {
        let (state, file) = (Scratch::new("wins"), json!({ "prompt": "configured" }));
        let kept = state.open("i", "m", &file);
        set(&kept, &json!({ "prompt": "a cat" }));
        let changed = json!({ "prompt": "changed while the agent was down" });
        state.check("i", "m", &changed, &changed);
        let changed = json!({ "prompt": "changed while it ran" });
        kept.configure(changed.as_object().cloned().unwrap());
        kept.write();
        assert!(!kept.are_kept());
        state.check("i", "m", &changed, &changed);
        // The old parameters do not come back with the old configuration.
        state.check("i", "m", &file, &file);
    }

    #[test]
    fn parameters_like_the_configurations_are_not_kept() {
        let (state, file) = (Scratch::new("like"), json!({ "prompt": "configured" }));
        let kept = state.open("i", "m", &file);
        set(&kept, &json!({ "prompt": "a cat" }));
        set(&kept, &file);
        assert!(!kept.are_kept() && !state.open("i", "m", &file).are_kept());
    }

    #[test]
    fn each_model_has_its_own_parameters_and_only_the_last_few_are_kept() {
        let (state, none) = (Scratch::new("few"), json!({}));
        for n in 0..WORKS + 2 {
            set(&state.open("i", &format!("m{n}"), &none), &json!({ "n": n }));
        }
        state.check("i", "m1", &none, &none);
        state.check("i", "m2", &none, &json!({ "n": 2 }));
        state.check("i", "m9", &none, &json!({ "n": 9 }));
    }

    #[test]
    fn a_torn_file_is_set_aside_and_without_a_directory_memory_keeps_the_parameters() {
        let (state, none) = (Scratch::new("torn"), json!({}));
        fs::write(state.0.join("parameters-a_b_c.json"), "{\"works\":[{").unwrap();
        state.check("a/b c", "m", &none, &none);
        assert!(state.0.join("parameters-a_b_c.torn").exists());

        let kept = KeptParams::open(None, "i", "m", Map::new());
        set(&kept, &json!({ "n": 1 }));
        assert_eq!(Value::Object(kept.params()), json!({ "n": 1 }));
        assert!(kept.is_same_job(&KeptParams::open(None, "i", "m", Map::new())));
        assert!(!kept.is_same_job(&KeptParams::open(None, "i", "n", Map::new())));
    }
}
