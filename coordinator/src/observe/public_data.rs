//! Public rows, at the coordinator.
//!
//! The files count as public: what is computed on them is published with the model. Nothing is ever
//! evaluated on a site's private rows.

use umbel_model::data::{DataError, LabelSet, LabelledTexts, TableSchema, clean, read_table};
use umbel_model::{Classifier, Example, ModelError, Target, TaskKind, Tokens, logits, tokenise};

use super::evaluation::{Answer, Answers};
use crate::config::EvaluationFile;

/// Why public data can't be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// A file.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Labelled public rows, tokenised.
#[derive(Clone, Debug, Default)]
pub struct PublicData {
    files: Vec<(String, Vec<Example>)>,
    notes: Vec<String>,
}

/// Labelled public rows as they were read.
#[derive(Clone, Debug, Default)]
pub struct PublicTexts {
    /// Each file's name and path, and its rows.
    files: Vec<(EvaluationFile, LabelledTexts)>,
}

impl PublicTexts {
    /// Reads the files of a configuration, for a task with these labels.
    ///
    /// # Errors
    /// [`DataError`] naming the file and row.
    pub fn read(
        files: &[EvaluationFile],
        schema: &TableSchema,
        (task, labels): (TaskKind, &LabelSet),
        cleaned: bool,
    ) -> Result<Self, DataError> {
        let read = |file: &EvaluationFile| {
            let mut table = read_table(&file.path, schema)?;
            if cleaned {
                table = clean(table).0;
            }
            let texts = LabelledTexts::for_task(&table, task, labels)?;
            Ok((file.clone(), texts))
        };
        let files = files.iter().map(read).collect::<Result<_, DataError>>()?;
        Ok(Self { files })
    }

    /// The values of all rows of a regression, in the order of the files.
    pub fn values(&self) -> Vec<f64> {
        let targets = self.files.iter().flat_map(|(_, texts)| &texts.targets);
        targets
            .filter_map(|target| match target {
                Target::Value(value) => Some(*value),
                Target::Class(_) | Target::Labels(_) => None,
            })
            .collect()
    }

    /// The same, tokenised.
    ///
    /// # Errors
    /// [`EvaluationError`] where the tokeniser fails, or a value is infinite in the model's scale.
    pub fn tokenised(self, classifier: &Classifier) -> Result<PublicData, EvaluationError> {
        let mut data = PublicData::default();
        for (file, texts) in self.files {
            texts.check(classifier.task(), classifier.labels().len())?;
            let (examples, lengths) = tokenise(&texts, classifier)?;
            let cut = (lengths.cut > 0).then(|| lengths.to_string());
            let notes = texts.notes.iter().cloned().chain(cut);
            let named = notes.map(|note| format!("{}: {note}", file.path.display()));
            data.notes.extend(named);
            data.files.push((file.name.clone(), examples));
        }
        Ok(data)
    }
}

impl PublicData {
    /// Reads the files of a configuration, for a classifier's task.
    ///
    /// # Errors
    /// [`EvaluationError`] naming the file and row.
    pub fn read(
        files: &[EvaluationFile],
        schema: &TableSchema,
        labels: &LabelSet,
        cleaned: bool,
        classifier: &Classifier,
    ) -> Result<Self, EvaluationError> {
        let task = (classifier.task().kind(), labels);
        let texts = PublicTexts::read(files, schema, task, cleaned)?;
        texts.tokenised(classifier)
    }

    /// What was found out about the files, in sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether there is nothing to evaluate on.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What a classifier answers on all rows.
    ///
    /// # Errors
    /// [`ModelError`] where the device fails or a score isn't finite.
    pub fn answers(&self, classifier: &Classifier) -> Result<Answers, ModelError> {
        self.answers_on(classifier, 1)
    }

    /// What a classifier answers on about `limit` rows, evenly spread; 0 means all of them.
    ///
    /// # Errors
    /// As [`Self::answers`].
    pub fn sample(&self, classifier: &Classifier, limit: usize) -> Result<Answers, ModelError> {
        let total = self.files.iter().map(|(_, rows)| rows.len()).sum();
        self.answers_on(classifier, stride(total, limit))
    }

    fn answers_on(&self, classifier: &Classifier, stride: usize) -> Result<Answers, ModelError> {
        let mut files = Vec::with_capacity(self.files.len());
        for (name, rows) in &self.files {
            let rows = rows.iter().step_by(stride);
            let (tokens, targets): (Vec<Tokens>, Vec<Target>) = rows
                .map(|row| (row.tokens.clone(), row.target.clone()))
                .unzip();
            let scores = logits(classifier, &tokens, BATCH)?;
            let answers = scores.into_iter().zip(targets);
            let answers = answers.map(|(scores, target)| Answer { target, scores });
            files.push((name.clone(), answers.collect()));
        }
        Ok(Answers::new(classifier, files))
    }

    /// The rows, file after file.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Example> + Clone {
        self.files.iter().flat_map(|(_, rows)| rows)
    }
}

/// Rows that pass through the model at a time in evaluation.
const BATCH: usize = 64;

/// Each how manyth of so many rows is taken, to have about `limit` of them.
pub(super) fn stride(total: usize, limit: usize) -> usize {
    match limit {
        0 => 1,
        limit => total.div_ceil(limit).max(1),
    }
}
