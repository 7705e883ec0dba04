package escape

import "testing"

// TestWX runs attempts at executing code that was written at run time.
func TestWX(t *testing.T) { runAttacks(t, wxAttacks) }

var wxAttacks = []attack{
	// Protections of anonymous memory.
	{name: "wx_mmap_rwx"},
	{name: "wx_mprotect_rx"},
	{name: "wx_mprotect_rwx"},
	{name: "wx_mprotect_x"},
	{name: "wx_mprotect_tail"},
	{name: "wx_pkey_rx"},
	{name: "wx_pkey_rwx"},
	{name: "wx_pkey_key"},
	{name: "wx_none_rw_rx"},

	// /proc/PID/mem, which ignores protections.
	{name: "wx_procmem_anon"},
	{name: "wx_procmem_text"},
	{name: "wx_procmem_thread"},
	{name: "wx_procmem_parent"},
	{name: "wx_procmem_child"},
	{name: "wx_procmem_openat"},
	{name: "wx_procmem_pwritev"},

	// Mappings that are moved, doubled and covered.
	{name: "wx_mremap_fixed"},
	{name: "wx_mremap_into"},
	{name: "wx_mremap_zero"},
	{name: "wx_mremap_zero_rx"},
	{name: "wx_mremap_dontunmap"},
	{name: "wx_mremap_grow"},
	{name: "wx_fixed_over"},

	// Files in memory, and huge pages.
	{name: "wx_memfd_private"},
	{name: "wx_memfd_shared"},
	{name: "wx_memfd_alias"},
	{name: "wx_memfd_after"},
	{name: "wx_memfd_noexec"},
	{name: "wx_memfd_sealed"},
	{name: "wx_memfd_reopen"},
	{name: "wx_memfd_exec"},
	{name: "wx_memfd_exec_path"},
	{name: "wx_memfd_hugetlb"},
	{name: "wx_hugetlb"},

	// Files that are written and mapped, in either order.
	{name: "wx_file"},
	{name: "wx_file_late"},
	{name: "wx_file_alias"},
	{name: "wx_file_pwrite"},
	{name: "wx_file_shared_pwrite"},
	{name: "wx_file_chmod"},
	{name: "wx_file_unlinked"},
	{name: "wx_file_tmpfile"},
	{name: "wx_file_hardlink"},
	{name: "wx_file_symlink"},
	{name: "wx_file_rename"},
	{name: "wx_file_collapse"},
	{name: "wx_file_copyrange"},
	{name: "wx_file_splice"},
	{name: "wx_file_aio"},
	{name: "wx_devshm"},
	{name: "wx_tmpdir_exec"},
	{name: "wx_tmpdir_map"},

	// Written programs and libraries, and what makes the system run them.
	{name: "wx_ldso"},
	{name: "wx_ldso_noexec"},
	{name: "wx_exec"},
	{name: "wx_exec_static"},
	{name: "wx_exec_script"},
	{name: "wx_exec_sh"},
	{name: "wx_exec_fd"},
	{name: "wx_exec_hardlink"},
	{name: "wx_exec_rename"},
	{name: "wx_exec_interp"},
	{name: "wx_exec_chroot"},
	{name: "wx_exec_userns"},
	{name: "wx_exec_bind"},
	{name: "wx_exec_tmpfs"},
	{name: "wx_dlopen"},
	{name: "wx_dlopen_memfd"},
	{name: "wx_dlopen_pwrite"},
	{name: "wx_preload"},
	{name: "wx_audit"},

	// The program's own file, which may be executed.
	{name: "wx_self_unlink", own: true, mayNotStart: true},
	{name: "wx_self_rename", own: true, mayNotStart: true},
	{name: "wx_self_inode", own: true, mayNotStart: true},
	{name: "wx_self_map", own: true, mayNotStart: true},

	// System V segments.
	{name: "wx_shm_exec"},
	{name: "wx_shm_twice"},
	{name: "wx_shm_remap"},
	{name: "wx_shm_mprotect"},

	// READ_IMPLIES_EXEC: no call says PROT_EXEC.
	{name: "wx_rie_mmap"},
	{name: "wx_rie_mprotect"},
	{name: "wx_rie_file"},
	{name: "wx_rie_shmat"},
	{name: "wx_rie_brk"},
	{name: "wx_rie_exec"},

	// Stacks, heap, data and code.
	{name: "wx_execstack", flags: []string{"-z", "execstack"}, mayNotStart: true},
	{name: "wx_nognustack", flags: []string{"-static"}},
	{name: "wx_stack"},
	{name: "wx_stack_growsdown"},
	{name: "wx_stack_growsup"},
	{name: "wx_stack_execlib"},
	{name: "wx_thread_stack"},
	{name: "wx_growsdown"},
	{name: "wx_brk"},
	{name: "wx_data"},
	{name: "wx_execmod"},
	{name: "wx_textrel"},

	// The vDSO.
	{name: "wx_vdso"},
	{name: "wx_vdso_map"},
	{name: "wx_vdso_procmem"},

	// Arguments that are more than they seem, and rare kinds of mappings.
	{name: "wx_flags"},
	{name: "wx_high_bits"},
	{name: "wx_tagged"},
	{name: "wx_fd_high_bits"},
	{name: "wx_unshare_files"},
	{name: "wx_undumpable", failClosed: true},
	{name: "wx_undumpable_mprotect", failClosed: true},
	{name: "wx_undumpable_stack", failClosed: true},
	{name: "wx_uprobe"},
	{name: "wx_remap_file_pages"},
	{name: "wx_devzero"},
	{name: "wx_devzero_shared"},
	{name: "wx_droppable"},
	{name: "wx_shared_validate"},

	// Other ways to write memory, and other memory that is shared with the kernel.
	{name: "wx_uffd"},
	{name: "wx_uffd_rw"},
	{name: "wx_uring_ring"},
	{name: "wx_uring_write"},
	{name: "wx_perf_ring"},
	{name: "wx_packet_ring"},
	{name: "wx_bpf_map"},
	{name: "wx_vm_writev"},
	{name: "wx_vm_writev_rx"},

	// Tracing.
	{name: "wx_ptrace_poke"},
	{name: "wx_ptrace_syscall"},
	{name: "wx_mm_brk"},

	// Several processes.
	{name: "wx_fork_shared"},
	{name: "wx_fork_written"},
	{name: "wx_clone_vm"},
	{name: "wx_vfork"},
	{name: "wx_untraced"},
	{name: "wx_untraced_clone3"},

	// Other ABIs.
	{name: "wx_int80"},
	{name: "wx_int80_mmap"},
	{name: "wx_int80_high"},
	{name: "wx_x32"},

	// Filters of the program's own.
	{name: "wx_listener"},
	{name: "wx_own_filter"},

	// Descriptors from elsewhere.
	{name: "wx_scm_rights"},
	{name: "wx_pidfd_getfd"},
	{name: "wx_proc_fd"},
	{name: "wx_map_files"},

	// Others.
	{name: "wx_python"},
	{name: "wx_mlock_mseal"},
	{name: "wx_sigreturn"},

	// Races, -rounds times.
	{name: "race_dup2"},
	{name: "race_close"},
	{name: "race_exec"},
	{name: "race_exec_string"},
	{name: "race_mprotect"},
	{name: "race_mremap"},
	{name: "race_limit_mmap"},
	{name: "race_limit_mprotect"},
	{name: "race_write"},
	{name: "race_path"},
	{name: "race_clone3"},
	{name: "race_thread_exec"},
}
