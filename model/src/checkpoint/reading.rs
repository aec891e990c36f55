//! What was made of a model's files, in one line.

use std::fmt;

use umbel_proto::classifier::ClassifierOptions;

use super::head::{Anew, HeadUse};

/// What was kept of a model's files, what was put in another order, what was dropped and what
/// begins anew. Its words are one line for whoever trains from them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The file that the weights are from, and how many of its tensors were taken.
    pub(crate) file: String,
    pub(crate) tensors: usize,
    pub(crate) head: Option<HeadUse>,
    /// The run's labels and pooling.
    pub(crate) options: Option<ClassifierOptions>,
    /// The pooler begins anew.
    pub(crate) fresh_pooler: bool,
    /// What the file's other tensors belong to.
    pub(crate) unused: Vec<String>,
    /// What else there is to say.
    pub(crate) notes: Vec<String>,
}

impl Reading {
    /// Whether the last layer is none of the files'.
    pub fn head_is_new(&self) -> bool {
        matches!(self.head, Some(HeadUse::Anew(_)))
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors of {}", self.tensors, self.file)?;
        if let (Some(head), Some(options)) = (&self.head, &self.options) {
            write!(f, "; {}", of_head(head, options))?;
        }
        if self.fresh_pooler {
            f.write_str("; the pooler begins anew")?;
        }
        if !self.unused.is_empty() {
            write!(f, "; not used: {}", self.unused.join(", "))?;
        }
        for note in &self.notes {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

fn of_head(head: &HeadUse, options: &ClassifierOptions) -> String {
    let run = options.labels.join(", ");
    let pooling = options.pooling;
    let why = match head {
        HeadUse::AsItIs => {
            return format!("the classifier is kept (labels {run}, pooling {pooling})");
        }
        HeadUse::ByName(_) => {
            return format!(
                "the classifier is kept, its rows put in the run's order of labels by their names \
                 ({run}; pooling {pooling})"
            );
        }
        HeadUse::Anew(why) => why,
    };
    let why = match why {
        Anew::NotThere => "the folder has none".to_owned(),
        Anew::Labels(labels) => {
            format!(
                "the folder's labels are {}, the run's are {run}",
                labels.join(", ")
            )
        }
        Anew::Pooling(other) => {
            format!(
                "the folder's was trained with pooling {other}, and the run's pooling is {pooling}"
            )
        }
        Anew::Task(task) => format!("the folder's is for {task} answers (problem_type)"),
        Anew::Class(class) => format!("the folder's is that of a {class}"),
        Anew::Damaged(reason) => format!("the folder's can't be read ({reason})"),
    };
    format!("the classifier begins anew (pooling {pooling}): {why}")
}
