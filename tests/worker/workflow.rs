//! The definition in `workflows/`: it holds, and every kind of fault is told with file and line.
