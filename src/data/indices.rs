//! Where stored cells lie along a mode, in the narrowest number type that holds every index of the mode.

/// A number type for indices.
pub trait IndexType: Copy + Send + Sync + 'static {
    /// The index itself.
    fn place(self) -> usize;

    /// The low bits of `index`, which is all of it where the type was chosen for its mode.
    fn narrowed(index: u32) -> Self;
}

macro_rules! index_types {
    ($($t:ty)*) => { $(impl IndexType for $t {
        #[inline(always)]
        fn place(self) -> usize { self as usize }
        #[inline(always)]
        fn narrowed(index: u32) -> Self { index as $t }
    })* };
}
index_types!(u8 u16 u32);

/// The index of each stored cell along one mode. A mode of up to 256 levels takes one byte a cell, one of up to 65,536 two.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the number types
pub enum Indices {
    U8(Vec<u8>),
    U16(Vec<u16>),
    U32(Vec<u32>),
}

/// Runs `$body` with `$x` bound to the indices in whichever number type they have.
#[macro_export]
macro_rules! with_indices {
    ($indices:expr, $x:ident => $body:expr) => {
        match $indices {
            $crate::data::Indices::U8($x) => $body,
            $crate::data::Indices::U16($x) => $body,
            $crate::data::Indices::U32($x) => $body,
        }
    };
}

impl Indices {
    /// Bytes an index takes in a mode of so many levels.
    pub fn width(levels: usize) -> usize {
        match levels {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        }
    }

    /// The first index of a mode of `levels`, for so many cells.
    pub fn zeros(levels: usize, cells: usize) -> Self {
        match Self::width(levels) {
            1 => Self::U8(vec![0; cells]),
            2 => Self::U16(vec![0; cells]),
            _ => Self::U32(vec![0; cells]),
        }
    }

    /// The given indices in a mode of `levels`, all of which must be below that.
    pub fn new(levels: usize, own: impl IntoIterator<Item = u32>) -> Self {
        let own = own.into_iter();
        match Self::width(levels) {
            1 => Self::U8(own.map(IndexType::narrowed).collect()),
            2 => Self::U16(own.map(IndexType::narrowed).collect()),
            _ => Self::U32(own.collect()),
        }
    }

    /// Cut into parts of so many cells, the last of them shorter.
    pub(crate) fn parts(&mut self, cells: usize) -> Vec<Part<'_>> {
        match self {
            Self::U8(own) => own.chunks_mut(cells).map(Part::U8).collect(),
            Self::U16(own) => own.chunks_mut(cells).map(Part::U16).collect(),
            Self::U32(own) => own.chunks_mut(cells).map(Part::U32).collect(),
        }
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        crate::with_indices!(self, own => own.len())
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of a cell, which must be there.
    #[inline]
    pub fn at(&self, cell: usize) -> usize {
        crate::with_indices!(self, own => own[cell].place())
    }

    /// The indices of some cells, in that order.
    pub fn of_cells(&self, cells: &[usize]) -> Self {
        match self {
            Self::U8(own) => Self::U8(cells.iter().map(|k| own[*k]).collect()),
            Self::U16(own) => Self::U16(cells.iter().map(|k| own[*k]).collect()),
            Self::U32(own) => Self::U32(cells.iter().map(|k| own[*k]).collect()),
        }
    }
}

/// Indices that are written by one thread.
pub(crate) enum Part<'a> {
    U8(&'a mut [u8]),
    U16(&'a mut [u16]),
    U32(&'a mut [u32]),
}

impl Part<'_> {
    /// Writes the indices of some cells from `start` on.
    pub fn write(&mut self, start: usize, indices: &[u32]) {
        match self {
            Self::U8(own) => narrow(&mut own[start..], indices),
            Self::U16(own) => narrow(&mut own[start..], indices),
            Self::U32(own) => narrow(&mut own[start..], indices),
        }
    }
}

fn narrow<I: IndexType>(onto: &mut [I], indices: &[u32]) {
    onto.iter_mut().zip(indices).for_each(|(o, i)| *o = I::narrowed(*i));
}

#[cfg(test)]
mod tests {
    use super::Indices;

    #[test]
    fn every_width_gives_back_its_indices() {
        for (levels, width) in [(1, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4), (1 << 31, 4)] {
            let top = levels as u32 - 1;
            let column = Indices::new(levels, [0, top, top / 2]);
            assert_eq!(Indices::width(levels), width);
            assert_eq!((column.len(), column.at(1), column.at(2)), (3, top as usize, top as usize / 2));
            assert_eq!(column.of_cells(&[1, 1, 0]).at(1), top as usize);
            assert_eq!(Indices::zeros(levels, 2).at(1), 0);
        }
    }
}
