// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/svsm: the key service at VMPL0, for one program at a time. wire/uapi.h is its interface,
 * wire/vmpl.h what it speaks with the monitor.
 *
 * The pages are registered when the module is loaded and given back when it goes. Each opener
 * gets a service of its own: the one before is gone, with all it knew, when its opener is.
 * Registers and counters are all that is ever printed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/reboot.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/sev.h>

#include "svsm.h"

static uint protocol = CALL_PROTOCOL;
module_param(protocol, uint, 0444);
MODULE_PARM_DESC(protocol, "number of the key-management protocol");

static uint lanes;
module_param(lanes, uint, 0444);
MODULE_PARM_DESC(lanes, "calls that can run at once (default: one per possible CPU)");

static struct svsm dev = { .life = __RWSEM_INITIALIZER(dev.life) };

/*
 * What user space may ask of the monitor through SVSM_IOC_CALL. All other protocols are the
 * kernel's.
 */
static const bool user_may[VMPL_CALLS] = {
	[VMPL_HELLO] = true,
	[VMPL_CALL] = true,
	[VMPL_STATUS] = true,
};

/* These three: caller holds dev.life for writing, or nobody else knows the device yet. */
static int start_service(void)
{
	int err = svsm_call_all(dev.protocol, VMPL_START, true);

	dev.state = err ? SVSM_BROKEN : SVSM_FRESH;
	dev.generation += !err;
	return err;
}

static int stop_service(bool killable)
{
	int err = svsm_call_all(dev.protocol, VMPL_RESET, killable);

	dev.state = err ? SVSM_BROKEN : SVSM_STOPPED;
	return err;
}

static int renew_service(void)
{
	int err = 0;

	if (dev.state == SVSM_CLOSED)
		return -ENODEV;
	if (dev.state != SVSM_STOPPED)
		err = stop_service(true);
	return err ? err : start_service();
}

static int svsm_open(struct inode *inode, struct file *file)
{
	int err;

	if ((file->f_mode & (FMODE_READ | FMODE_WRITE)) != (FMODE_READ | FMODE_WRITE))
		return -EACCES;
	if (test_and_set_bit(0, &dev.opened))
		return -EBUSY;
	err = down_write_killable(&dev.life);
	if (!err) {
		/* The pages are clean: new, or cleared when the last opener had gone. */
		err = dev.state == SVSM_FRESH ? 0 : renew_service();
		up_write(&dev.life);
	}
	if (err)
		clear_bit_unlock(0, &dev.opened);
	return err ? err : nonseekable_open(inode, file);
}

/* The last mapping holds the file, so there is none any more. */
static int svsm_release(struct inode *inode, struct file *file)
{
	int err = 0;

	WARN_ON_ONCE(!list_empty(&dev.area.mappings));
	scoped_guard(rwsem_write, &dev.life) {
		/* Nobody is left to use its keys. */
		if (dev.state == SVSM_USED || dev.state == SVSM_BROKEN)
			err = stop_service(false);
		svsm_area_clear(&dev.area);
	}
	if (err)
		pr_warn("the service could not be stopped: %d\n", err);
	clear_bit_unlock(0, &dev.opened);
	return 0;
}

static int ioc_info(void __user *arg)
{
	struct svsm_info info = {
		.version = SVSM_UAPI_VERSION,
		.protocol = dev.protocol,
		.lanes = dev.lanes,
		.isolation = dev.isolation,
		.area_len = CALL_AREA_LEN,
		.vmpl = snp_vmpl,
	};
	u32 i;

	scoped_guard(rwsem_read, &dev.life)
		info.generation = dev.generation;
	for (i = 0; i < dev.lanes; i++)
		info.crossings += READ_ONCE(dev.lane[i].crossings);
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int check_regs(const struct svsm_regs *r, struct vmpl_block *block)
{
	u32 call = lower_32_bits(r->rax);

	if (upper_32_bits(r->rax) != dev.protocol)
		return -EPERM;
	if (call >= VMPL_CALLS || r->rdx || r->r8 || r->r9)
		return -EINVAL;
	if (!user_may[array_index_nospec(call, VMPL_CALLS)])
		return -EPERM;
	if (r->rcx >= (call == VMPL_CALL ? dev.lanes : 1))
		return -EINVAL;
	block->lane = array_index_nospec(r->rcx, dev.lanes);
	return 0;
}

/* One crossing. Caller holds dev.life for reading. */
static int cross(u32 call, const struct vmpl_block *block, struct svsm_regs *r)
{
	struct svsm_lane *lane = &dev.lane[block->lane];
	enum svsm_state state = READ_ONCE(dev.state);
	int err;

	if (call != VMPL_CALL)	/* asks, and changes nothing */
		return svsm_call(dev.protocol, call, block, r);
	if (state < SVSM_FRESH)
		return state == SVSM_CLOSED ? -ENODEV : -EPIPE;
	if (test_and_set_bit_lock(0, &lane->busy))
		return -EBUSY;
	WRITE_ONCE(lane->crossings, lane->crossings + 1);
	if (state == SVSM_FRESH)
		WRITE_ONCE(dev.state, SVSM_USED);
	/* One call after the other for as long as there is work, other tasks in between. */
	for (;;) {
		err = svsm_call(dev.protocol, call, block, r);
		if (err || r->rdx == VMPL_DONE)
			break;
		err = r->rdx != VMPL_AGAIN ? -EIO : signal_pending(current) ? -EINTR : 0;
		if (err)
			break;
		cond_resched();
	}
	clear_bit_unlock(0, &lane->busy);
	return err;
}

static int ioc_call(struct svsm_regs __user *arg)
{
	struct vmpl_block block = {};
	struct svsm_regs r;
	int err;

	if (copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	err = check_regs(&r, &block);
	if (err)
		return err;
	err = down_read_interruptible(&dev.life);
	if (err)
		return err;
	err = cross(lower_32_bits(r.rax), &block, &r);
	up_read(&dev.life);
	/* Also with an error: the registers say why. */
	if (copy_to_user(arg, &r, sizeof(r)))
		return -EFAULT;
	return err;
}

static int ioc_reset(void)
{
	int err = down_write_killable(&dev.life);

	if (err)
		return err;
	err = renew_service();
	up_write(&dev.life);
	return err;
}

static long svsm_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;

	switch (cmd) {
	case SVSM_IOC_INFO:
		return ioc_info(p);
	case SVSM_IOC_CALL:
		return ioc_call(p);
	case SVSM_IOC_RESET:
		return arg ? -EINVAL : ioc_reset();
	default:
		return -ENOTTY;
	}
}

static int svsm_mmap(struct file *file, struct vm_area_struct *vma)
{
	return svsm_area_mmap(&dev.area, vma);
}

static const struct file_operations svsm_fops = {
	.owner = THIS_MODULE,
	.open = svsm_open,
	.release = svsm_release,
	.unlocked_ioctl = svsm_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = svsm_mmap,
};

static struct miscdevice svsm_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "svsm",
	.fops = &svsm_fops,
	.mode = 0600,
};

/* Who is there? */
static int greet(void)
{
	const struct vmpl_block none = {};
	struct svsm_regs r;
	u32 most;
	int err;

	err = svsm_call(dev.protocol, VMPL_HELLO, &none, &r);
	if (err)
		return err;
	most = lower_32_bits(r.rdx);
	if (r.rcx != VMPL_MAGIC || upper_32_bits(r.rdx) != VMPL_VERSION ||
	    r.r8 != CALL_AREA_LEN || most < 2 || r.r9 > U32_MAX)
		return -EPROTO;
	dev.isolation = r.r9;
	dev.lanes = (lanes ? min(lanes, CALL_LANES_MAX - 1) : num_possible_cpus()) + 1;
	dev.lanes = min3(dev.lanes, most, CALL_LANES_MAX);
	return 0;
}

/* True: the monitor has no rights left on the pages. */
static bool close_monitor(void)
{
	int err = svsm_call_all(dev.protocol, VMPL_CLOSE, false);

	dev.state = err ? SVSM_BROKEN : SVSM_CLOSED;
	if (err)
		pr_err("the monitor keeps %lu pages: %d; they are lost until the next boot\n",
		       2 * dev.area.pages, err);
	return !err;
}

static int open_monitor(void)
{
	const struct vmpl_block block = { .lanes = dev.lanes };
	struct svsm_regs r;
	int err;

	err = svsm_call(dev.protocol, VMPL_OPEN, &block, &r);
	if (err)
		return err;
	err = svsm_area_register(&dev.area, dev.protocol);
	if (!err)
		err = start_service();
	if (err && close_monitor())
		return err;
	return err ? -ENOTRECOVERABLE : 0;
}

/* The next kernel, started by kexec, must find memory that it can write. */
static int before_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	guard(rwsem_write)(&dev.life);
	if (action == SYS_RESTART && dev.state != SVSM_CLOSED)
		close_monitor();
	return NOTIFY_DONE;
}

static struct notifier_block reboot_notifier = { .notifier_call = before_reboot };

static int __init svsm_init(void)
{
	int err = svsm_call_possible();

	if (err)
		return err;
	dev.protocol = protocol;
	err = greet();
	if (err)
		goto out;
	err = -ENOMEM;
	dev.lane = kvcalloc(dev.lanes, sizeof(*dev.lane), GFP_KERNEL);
	if (!dev.lane)
		goto out;
	err = svsm_area_alloc(&dev.area, dev.lanes * (CALL_AREA_LEN / PAGE_SIZE));
	if (err)
		goto out_lane;
	err = open_monitor();
	if (err == -ENOTRECOVERABLE)
		goto out_lane;	/* the pages stay with the monitor */
	if (err)
		goto out_area;
	err = misc_register(&svsm_misc);
	if (!err) {
		register_reboot_notifier(&reboot_notifier);
		pr_info("protocol %#x, %u lanes, isolation %u, from VMPL %u\n",
			dev.protocol, dev.lanes, dev.isolation, snp_vmpl);
		return 0;
	}
	if (!close_monitor())
		goto out_lane;
out_area:
	svsm_area_free(&dev.area);
out_lane:
	kvfree(dev.lane);
out:
	pr_err("not usable: %d\n", err);
	return err;
}

static void __exit svsm_exit(void)
{
	misc_deregister(&svsm_misc);
	unregister_reboot_notifier(&reboot_notifier);
	if (dev.state == SVSM_CLOSED || close_monitor())
		svsm_area_free(&dev.area);
	kvfree(dev.lane);
}

module_init(svsm_init);
module_exit(svsm_exit);
MODULE_DESCRIPTION("Key service at VMPL0 of an SEV-SNP guest");
MODULE_LICENSE("GPL");
