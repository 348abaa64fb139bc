// SPDX-License-Identifier: GPL-2.0
/*
 * The compromised kernel of the tests' threat model: reads, writes and maps any guest-physical address, and
 * calls VMPL0 with any registers. Part of the test initramfs only; root in the VM could load the like.
 *
 * The calls go by the GHCB MSR, not by the kernel's own path, so that every register can be hostile.
 */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/cc_platform.h>
#include <asm/msr.h>
#include <asm/sev.h>

#include "probe.h"

#define MSR_GHCB 0xc0010130u
#define MSR_CAA 0xc001f000u
#define RUN_VMPL0 0x016ull

static int one_call(struct probe_call *c)
{
	unsigned long flags;
	u64 caa, old, rax, rcx;
	u8 *area;

	if (!cc_platform_has(CC_ATTR_GUEST_SEV_SNP) || !snp_vmpl)
		return -ENODEV;
	local_irq_save(flags);
	rdmsrl(MSR_CAA, caa);
	area = phys_to_virt(caa);
	if (c->len)
		memcpy(area + 8, c->buffer, c->len);
	rax = c->rax;
	rcx = c->rcx;
	if (c->flags & PROBE_RCX_BUFFER)
		rcx += caa + 8;
	else if (c->flags & PROBE_RCX_CAA)
		rcx += caa;
	rdmsrl(MSR_GHCB, old);
	wrmsrl(MSR_GHCB, RUN_VMPL0);
	WRITE_ONCE(area[0], c->flags & PROBE_NOT_PENDING ? 0 : 1);
	{
		register u64 r8 asm("r8") = c->r8;
		register u64 r9 asm("r9") = c->r9;

		asm volatile("rep; vmmcall" : "+a"(rax), "+c"(rcx), "+d"(c->rdx), "+r"(r8), "+r"(r9) : : "memory");
		c->r8 = r8;
		c->r9 = r9;
	}
	c->pending = xchg(&area[0], 0);
	rdmsrl(MSR_GHCB, c->msr);
	wrmsrl(MSR_GHCB, old);
	memcpy(c->buffer, area + 8, PROBE_BUFFER);
	local_irq_restore(flags);
	c->rax = rax;
	c->rcx = rcx;
	return 0;
}

static void do_rmpadjust(struct probe_call *c)
{
	u64 rax = c->rax;

	asm volatile(".byte 0xf3, 0x0f, 0x01, 0xfe" : "+a"(rax) : "c"(c->rcx), "d"(c->rdx) : "memory", "cc");
	c->rax = rax;
}

static void do_pvalidate(struct probe_call *c)
{
	u64 rax = c->rax;
	bool carry;

	asm volatile(".byte 0xf2, 0x0f, 0x01, 0xff" : "+a"(rax), "=@ccc"(carry) : "c"(c->rcx), "d"(c->rdx) : "memory");
	c->rax = rax;
	c->rcx = carry;
}

static int where(struct probe_where *w)
{
	struct follow_pfnmap_args args = { .address = w->va & PAGE_MASK };
	struct task_struct *task = get_pid_task(find_vpid((int)w->pid), PIDTYPE_PID);
	struct mm_struct *mm = task ? get_task_mm(task) : NULL;
	struct page *page;
	int err = -ESRCH;

	if (task)
		put_task_struct(task);
	if (!mm)
		return err;
	mmap_read_lock(mm);
	args.vma = vma_lookup(mm, w->va);
	err = args.vma ? 0 : -EFAULT;
	if (!err && args.vma->vm_flags & VM_PFNMAP) {
		err = follow_pfnmap_start(&args);
		if (!err) {
			w->gpa = PFN_PHYS(args.pfn);
			follow_pfnmap_end(&args);
		}
	} else if (!err) {
		err = get_user_pages_remote(mm, args.address, 1, 0, &page, NULL) == 1 ? 0 : -EFAULT;
		if (!err) {
			w->gpa = page_to_phys(page);
			put_page(page);
		}
	}
	mmap_read_unlock(mm);
	mmput(mm);
	return err;
}

static long probe_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *user = (void __user *)arg;
	struct probe_call *c __free(kfree) = NULL;
	struct probe_where w;
	struct probe_page p;
	struct page *page;
	u64 caa;
	int err = 0;

	switch (cmd) {
	case PROBE_IOC_PAGE:
		if (copy_from_user(&p, user, sizeof(p)) || p.order > 9)
			return -EINVAL;
		page = alloc_pages(GFP_KERNEL | __GFP_ZERO, p.order);
		if (!page)
			return -ENOMEM;
		p.gpa = page_to_phys(page);
		return copy_to_user(user, &p, sizeof(p)) ? -EFAULT : 0;
	case PROBE_IOC_CAA:
		if (!cc_platform_has(CC_ATTR_GUEST_SEV_SNP) || !snp_vmpl)
			return -ENODEV;
		rdmsrl(MSR_CAA, caa);
		return copy_to_user(user, &caa, sizeof(caa)) ? -EFAULT : 0;
	case PROBE_IOC_WHERE:
		if (copy_from_user(&w, user, sizeof(w)))
			return -EFAULT;
		err = where(&w);
		return err ? err : copy_to_user(user, &w, sizeof(w)) ? -EFAULT : 0;
	case PROBE_IOC_COUNTERS:
		caa = PROBE_COUNTERS_MAGIC;
		asm volatile("vmmcall" : "+a"(caa) : : "memory");
		return 0;
	case PROBE_IOC_CALL:
	case PROBE_IOC_RMPADJUST:
	case PROBE_IOC_PVALIDATE:
		break;
	default:
		return -ENOTTY;
	}
	c = kmalloc(sizeof(*c), GFP_KERNEL);
	if (!c)
		return -ENOMEM;
	if (copy_from_user(c, user, sizeof(*c)))
		return -EFAULT;
	if (c->len > PROBE_BUFFER)
		return -EINVAL;
	if (cmd == PROBE_IOC_CALL) {
		err = one_call(c);
	} else {
		if (!cc_platform_has(CC_ATTR_GUEST_SEV_SNP))
			return -ENODEV;
		/* rax is an address the kernel has mapped, given as guest-physical. */
		c->rax = (u64)phys_to_virt(c->rax);
		if (cmd == PROBE_IOC_RMPADJUST)
			do_rmpadjust(c);
		else
			do_pvalidate(c);
	}
	if (err)
		return err;
	return copy_to_user(user, c, sizeof(*c)) ? -EFAULT : 0;
}

/*
 * RAM through the kernel's own map; what it has none for (VMPL0's memory is no RAM to it) through one made for
 * it, private or, with PROBE_SHARED in the offset, shared with the host.
 */
static void *map(phys_addr_t at, bool shared, bool *ram)
{
	*ram = !shared && page_is_ram(PHYS_PFN(at));
	if (*ram)
		return phys_to_virt(at & PAGE_MASK);
	at &= PAGE_MASK;
	return (__force void *)(shared ? ioremap_cache(at, PAGE_SIZE) : ioremap_encrypted(at, PAGE_SIZE));
}

/*
 * The kernel's image is mapped twice, and what it shares with the host (.bss..decrypted) rightly only where the
 * image runs; pages of it that were freed are only in the map of all memory.
 */
static bool in_image(phys_addr_t at, void *own, size_t len)
{
	unsigned long va = __START_KERNEL_map + (unsigned long)(at - phys_base);

	/* phys_base may be below zero: where the image is and where it runs are drawn apart. */
	return va - __START_KERNEL_map < KERNEL_IMAGE_SIZE && !copy_from_kernel_nofault(own, (void *)va, len);
}

/* By a page of our own: what is read may be anything, also what the kernel would not let user space copy. */
static long one_part(char __user *out, const char __user *in, loff_t pos, size_t len, void *own)
{
	bool ram, shared = pos & PROBE_SHARED;
	phys_addr_t at = pos & ~PROBE_SHARED;
	long bad = -EFAULT;
	void *page;

	if (in && copy_from_user(own, in, len))
		return -EFAULT;
	if (out && !shared && in_image(at, own, len))
		return copy_to_user(out, own, len) ? -EFAULT : 0;
	page = map(at, shared, &ram);
	if (!page)
		return -ENXIO;
	if (out) {
		bad = copy_from_kernel_nofault(own, page + offset_in_page(at), len);
	} else {
		memcpy(page + offset_in_page(at), own, len);
		bad = 0;
	}
	if (!ram)
		iounmap((void __iomem *)page);
	if (!bad && out && copy_to_user(out, own, len))
		bad = -EFAULT;
	return bad;
}

static ssize_t each_page(char __user *out, const char __user *in, size_t len, loff_t *pos)
{
	void *own = (void *)__get_free_page(GFP_KERNEL);
	size_t done = 0;
	long bad = own ? 0 : -ENOMEM;

	while (!bad && done < len) {
		size_t part = min(len - done, PAGE_SIZE - offset_in_page(*pos));

		bad = one_part(out ? out + done : NULL, in ? in + done : NULL, *pos, part, own);
		if (bad)
			break;
		done += part;
		*pos += part;
		cond_resched();
	}
	free_page((unsigned long)own);
	return done ? done : bad;
}

static ssize_t probe_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	return each_page(buf, NULL, len, pos);
}

static ssize_t probe_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	return each_page(NULL, buf, len, pos);
}

static int probe_mmap(struct file *file, struct vm_area_struct *vma)
{
	return remap_pfn_range(vma, vma->vm_start, vma->vm_pgoff, vma->vm_end - vma->vm_start, vma->vm_page_prot);
}

static loff_t probe_llseek(struct file *file, loff_t at, int whence)
{
	return no_seek_end_llseek(file, at, whence);
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.read = probe_read,
	.write = probe_write,
	.mmap = probe_mmap,
	.llseek = probe_llseek,
	.unlocked_ioctl = probe_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "probe",
	.fops = &operations,
	.mode = 0600,
};
module_misc_device(device);

MODULE_DESCRIPTION("What a compromised kernel can do, for the tests");
MODULE_LICENSE("GPL");
