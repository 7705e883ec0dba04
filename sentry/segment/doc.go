// Package segment is the ordered set of address ranges under the VMA tree: a B+tree whose inner
// nodes also hold the largest gap below them, so that finding a range and finding a free gap
// both take O(log n), and that clones in O(1) by copying nodes on the first write.
package segment
