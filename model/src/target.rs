//! What a row has beside its text: what a model is to answer.

use umbel_proto::task::{Task, TaskKind};

/// What is right for a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The index of its label.
    Class(usize),
    /// The indices of its labels, ascending, each once; none for a text that has none.
    Labels(Vec<usize>),
    /// Its value, as it stands in the table.
    Value(f64),
}

impl Target {
    /// The target of these labels: sorted, each once.
    pub fn labels(mut indices: Vec<usize>) -> Self {
        indices.sort_unstable();
        indices.dedup();
        Self::Labels(indices)
    }

    /// The indices of all its labels: none of a value.
    pub fn classes(&self) -> &[usize] {
        match self {
            Self::Class(index) => std::slice::from_ref(index),
            Self::Labels(indices) => indices,
            Self::Value(_) => &[],
        }
    }

    /// Why a model of this task and so many outputs can't learn from it, if it can't.
    pub(crate) fn mistake(&self, task: Task, outputs: usize) -> Option<String> {
        let beyond = |index: &usize| *index >= outputs;
        match (self, task) {
            (Self::Class(_), Task::SingleLabel) | (Self::Labels(_), Task::MultiLabel) => {
                let index = self.classes().iter().find(|index| beyond(index))?;
                Some(format!("its label {index} isn't below {outputs}"))
            }
            (Self::Value(value), Task::Regression(values)) => {
                // Training has it in single precision.
                let scaled = values.scaled(*value) as f32;
                (!scaled.is_finite()).then(|| {
                    format!("its value {value:?} is no number, or too large for the run's scale")
                })
            }
            _ => Some(format!(
                "it has {}, and the task is {task}",
                match self.kind() {
                    TaskKind::SingleLabel => "one label",
                    TaskKind::MultiLabel => "a list of labels",
                    TaskKind::Regression => "a value",
                }
            )),
        }
    }

    fn kind(&self) -> TaskKind {
        match self {
            Self::Class(_) => TaskKind::SingleLabel,
            Self::Labels(_) => TaskKind::MultiLabel,
            Self::Value(_) => TaskKind::Regression,
        }
    }
}
