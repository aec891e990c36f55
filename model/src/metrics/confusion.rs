//! Which classes are taken for which.

/// How often each class (the row) was taken for each (the column). Where one list is longer, its
/// tail isn't counted; nor is an index that names no class.
pub fn confusion(labels: &[usize], predictions: &[usize], classes: usize) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; classes]; classes];
    for (&label, &prediction) in labels.iter().zip(predictions) {
        let row = counts.get_mut(label);
        if let Some(count) = row.and_then(|row| row.get_mut(prediction)) {
            *count += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_classes_and_columns_what_they_were_taken_for() {
        let counts = confusion(&[0, 0, 1, 2, 7], &[0, 1, 1, 0, 0], 3);
        assert_eq!(counts, [[1, 1, 0], [0, 1, 0], [1, 0, 0]]);
        assert!(confusion(&[0], &[0], 0).is_empty());
    }
}
