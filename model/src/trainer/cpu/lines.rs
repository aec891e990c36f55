//! Vectors in memory, and where whole registers of them can be read.

use super::workspace::Workspace;

/// Vectors that lie `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Vectors<'a> {
    pub(super) values: &'a [f32],
    /// Numbers of a vector.
    pub(super) width: usize,
    pub(super) stride: usize,
}

impl<'a> Vectors<'a> {
    /// Numbers `from..to` of a vector.
    #[inline(always)]
    pub(super) fn get(&self, index: usize, from: usize, to: usize) -> &'a [f32] {
        let start = index * self.stride;
        &self.values[start + from..start + to]
    }
}

/// Numbers of a line of the cache: one register of AVX-512, two of AVX2. A register that is read
/// across two lines costs twice.
const LINE: usize = 16;

/// Vectors that begin with a line of the cache each, followed by zeros up to a line's end.
pub(super) struct Lines {
    buffer: Vec<f32>,
    /// Where the first begins.
    start: usize,
    /// Numbers of a vector, zeros included.
    width: usize,
    stride: usize,
}

impl Lines {
    /// Of `count` vectors.
    pub(super) fn copy(vectors: Vectors<'_>, count: usize, workspace: &mut Workspace) -> Self {
        let lines = vectors.width.div_ceil(LINE);
        // An odd number of lines apart, so that columns don't share few places of the cache.
        let stride = (lines | 1) * LINE;
        let mut buffer = workspace.take(LINE + count * stride);
        let start = buffer.as_ptr().align_offset(4 * LINE).min(LINE);
        for (index, to) in buffer[start..].chunks_mut(stride).take(count).enumerate() {
            let from = index * vectors.stride;
            let (head, rest) = to.split_at_mut(vectors.width);
            head.copy_from_slice(&vectors.values[from..from + vectors.width]);
            rest.fill(0.0);
        }
        Self {
            buffer,
            start,
            width: lines * LINE,
            stride,
        }
    }

    /// Themselves.
    pub(super) fn vectors(&self) -> Vectors<'_> {
        Vectors {
            values: &self.buffer[self.start..],
            width: self.width,
            stride: self.stride,
        }
    }

    /// Gives the buffer back.
    pub(super) fn give(self, workspace: &mut Workspace) {
        workspace.give(self.buffer);
    }
}
