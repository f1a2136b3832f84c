package main

import (
	"fmt"
	"syscall"
)

// mountMemory mounts a file system in memory that holds so many bytes.
func mountMemory(dir string, size int64) error {
	return syscall.Mount("px-torture", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("mode=0711,size=%d", size))
}

// resize lets a file system in memory hold so many bytes; 0: what is in it.
func resize(dir string, size int64) error {
	if size == 0 {
		var st syscall.Statfs_t
		if err := syscall.Statfs(dir, &st); err != nil {
			return err
		}
		size = int64(st.Blocks-st.Bfree) * int64(st.Bsize)
	}
	return syscall.Mount("px-torture", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%d", size))
}

// unmount takes a file system away, whoever still has a file of it open.
func unmount(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }
