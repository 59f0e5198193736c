//! What a step has to say at its end.

/// The results of a step. A step that is one check counts as one test.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) passed: usize,
    pub(crate) skipped: Vec<Skip>,
    pub(crate) failures: Vec<Failure>,
    /// One line for people.
    pub(crate) summary: String,
}

/// A check that could not be made.
#[derive(Debug)]
pub(crate) struct Skip {
    /// The check.
    pub(crate) what: String,
    /// What is missing, and how to get it.
    pub(crate) how_to_get: String,
}

/// A check that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The check.
    pub(crate) what: String,
    /// What it printed.
    pub(crate) output: String,
}

impl Outcome {
    /// All is well.
    pub(crate) fn passed(summary: impl Into<String>) -> Self {
        Self { passed: 1, summary: summary.into(), ..Self::default() }
    }

    /// The step's tool is missing.
    pub(crate) fn skipped(what: &str, how_to_get: &str) -> Self {
        let mut outcome = Self::default();
        outcome.skip(what, how_to_get);
        outcome
    }

    /// The step failed.
    pub(crate) fn failed(what: &str, output: impl Into<String>) -> Self {
        let mut outcome = Self::default();
        outcome.fail(what, output);
        outcome
    }

    /// Counts one check of several.
    pub(crate) fn check(&mut self, what: &str, success: bool, output: impl Into<String>) {
        if success {
            self.passed += 1;
        } else {
            self.fail(what, output);
        }
    }

    pub(crate) fn fail(&mut self, what: &str, output: impl Into<String>) {
        self.failures.push(Failure { what: what.to_owned(), output: output.into() });
    }

    pub(crate) fn skip(&mut self, what: &str, how_to_get: &str) {
        self.skipped.push(Skip { what: what.to_owned(), how_to_get: how_to_get.to_owned() });
    }

    /// With no patience for skips, they are failures.
    pub(crate) fn without_skips(mut self) -> Self {
        for skip in std::mem::take(&mut self.skipped) {
            self.fail(&skip.what, format!("skipped, and CI=true allows no skips: {}\n", skip.how_to_get));
        }
        self
    }

    /// The word for the whole step.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self { failures, .. } if !failures.is_empty() => "failed",
            Self { passed: 0, .. } => "skipped",
            _ => "passed",
        }
    }
}
