package configs

import (
	"math"

	"hdas/setting"
)

// TrainSection is the section "train" of a configuration: how a network is trained.
type TrainSection struct {
	Epochs          int        `mapstructure:"epochs" yaml:"epochs" range:"1..100000" help:"passes over the training images; on images of your own (data.name=folder) the default is 100" paper:"section 6.4"`
	Batch           int        `mapstructure:"batch" yaml:"batch" range:"2..65536; batch norm needs at least 2" help:"images of a forward pass; the paper's Hs-DAS has 128" paper:"section 6.4"`
	Accumulate      int        `mapstructure:"accumulate" yaml:"accumulate" range:"1..4096" help:"batches whose gradients are averaged for a step"`
	Optimizer       Optimizer  `mapstructure:"optimizer" yaml:"optimizer" help:"sgd (with momentum) or adamw (Adam with decoupled weight decay, arXiv:1711.05101)"`
	LR              float64    `mapstructure:"lr" yaml:"lr" range:"(0,1000]" help:"first learning rate" paper:"section 6.4"`
	LRScaling       LRScaling  `mapstructure:"lr_scaling" yaml:"lr_scaling" help:"the learning rates are multiplied by: none, 1; linear, the images of a step (batch*accumulate, of all processes) divided by lr_batch; sqrt, the square root of that"`
	LRBatch         int        `mapstructure:"lr_batch" yaml:"lr_batch" range:"1..1000000" help:"of lr_scaling: images of a step for which lr and min_lr are right, as the batch of one process"`
	MinLR           float64    `mapstructure:"min_lr" yaml:"min_lr" range:"[0,1000]" help:"last learning rate of the cosine and linear schedules"`
	Schedule        Schedule   `mapstructure:"schedule" yaml:"schedule" help:"of the learning rate: cosine or linear from lr to min_lr; step or multistep: multiplied by step_factor every step_every epochs, or at each of the milestones" paper:"section 6.4"`
	ScheduleBy      ScheduleBy `mapstructure:"schedule_by" yaml:"schedule_by" help:"the learning rate changes with every epoch or every step"`
	StepFactor      float64    `mapstructure:"step_factor" yaml:"step_factor" range:"(0,1]" help:"factor of the learning rate in the schedules step and multistep"`
	StepEvery       int        `mapstructure:"step_every" yaml:"step_every" range:"1..100000" help:"of the schedule step: epochs between two changes"`
	Milestones      []int      `mapstructure:"milestones" yaml:"milestones" range:"1..100000" help:"of the schedule multistep: epochs after which the learning rate changes"`
	Warmup          int        `mapstructure:"warmup" yaml:"warmup" range:"0..100000" help:"first epochs, in which the learning rate grows to lr"`
	WarmupSteps     int        `mapstructure:"warmup_steps" yaml:"warmup_steps" range:"0..1000000000" help:"warm-up in steps instead, in which the learning rate changes with every step"`
	WarmupFrom      float64    `mapstructure:"warmup_from" yaml:"warmup_from" range:"[0,1]" help:"the learning rate at the start of the warm-up, as a share of lr"`
	Momentum        float64    `mapstructure:"momentum" yaml:"momentum" range:"[0,1)" help:"of sgd" paper:"section 6.4"`
	Nesterov        bool       `mapstructure:"nesterov" yaml:"nesterov" help:"Nesterov's momentum, of sgd"`
	Beta1           float64    `mapstructure:"beta1" yaml:"beta1" range:"[0,1)" help:"of adamw: decay of the mean of gradients"`
	Beta2           float64    `mapstructure:"beta2" yaml:"beta2" range:"[0,1)" help:"of adamw: decay of the mean of squared gradients"`
	Eps             float64    `mapstructure:"eps" yaml:"eps" range:"(0,1]" help:"of adamw: added to the denominator"`
	WeightDecay     float64    `mapstructure:"weight_decay" yaml:"weight_decay" range:"[0,1000]" help:"weight decay; that of adamw is decoupled from the gradient" paper:"section 6.4"`
	NormDecay       bool       `mapstructure:"norm_decay" yaml:"norm_decay" help:"weight decay of batch norms and biases, too"`
	ClipBy          ClipBy     `mapstructure:"clip_by" yaml:"clip_by" help:"clips gradients by: norm (of all together), value (of each element), none"`
	Clip            float64    `mapstructure:"clip" yaml:"clip" range:"(0,1e12]" help:"largest gradient norm, or largest value of its elements"`
	EMA             EMA        `mapstructure:"ema" yaml:"ema"`
	Init            string     `mapstructure:"init" yaml:"init" help:"checkpoint or run from whose weights the training starts; empty: new weights"`
	InitEMA         bool       `mapstructure:"init_ema" yaml:"init_ema" help:"the training starts from the averaged weights of that checkpoint (train.ema)"`
	Probe           bool       `mapstructure:"probe" yaml:"probe" help:"only the classifier learns, from features of the images without augmentation that are computed once"`
	FreezeEpochs    int        `mapstructure:"freeze_epochs" yaml:"freeze_epochs" range:"0..100000" help:"first epochs in which only the classifier and the auxiliary head learn, and nothing else changes"`
	FreezeNorm      bool       `mapstructure:"freeze_norm" yaml:"freeze_norm" help:"batch norms, except the auxiliary head's, normalise with their running statistics and leave them as they are"`
	SyncNorm        bool       `mapstructure:"sync_norm" yaml:"sync_norm" help:"with several processes, batch norms use the statistics of the images of all, not of one (SyncBatchNorm); cells are then computed by the operations of libtorch, on a CPU more slowly than by the kernels. One process ignores it"`
	BackboneLR      float64    `mapstructure:"backbone_lr" yaml:"backbone_lr" range:"(0,1]" help:"factor of the learning rate of all but the classifier and the auxiliary head"`
	LayerDecay      float64    `mapstructure:"layer_decay" yaml:"layer_decay" range:"(0,1]" help:"factor of the learning rate from each cell to the one before it, from the classifier on"`
	AuxiliaryWeight float64    `mapstructure:"auxiliary_weight" yaml:"auxiliary_weight" range:"[0,1000]" help:"weight of the auxiliary head's loss" paper:"section 6.4"`
	DropPath        float64    `mapstructure:"drop_path" yaml:"drop_path" range:"[0,1)" help:"probability of drop path at the end; it grows linearly from 0" paper:"section 6.4"`
	LabelSmoothing  float64    `mapstructure:"label_smoothing" yaml:"label_smoothing" range:"[0,1)" help:"share of the label that is spread over all classes"`
	Patience        int        `mapstructure:"patience" yaml:"patience" range:"0..100000" help:"with data.validation: ends after that number of epochs without a better validation accuracy; 0: never"`
	Recompute       string     `mapstructure:"recompute" yaml:"recompute" help:"what is recomputed in the backward pass instead of stored: less memory, more time"`
	CheckpointSteps int        `mapstructure:"checkpoint_steps" yaml:"checkpoint_steps" range:"0..1000000000" help:"steps between two checkpoints within an epoch; 0: only at its end"`
}

// EMA holds the settings of the exponential moving average of the weights and the running statistics, which is
// evaluated and saved beside them.
type EMA struct {
	Decay  float64 `mapstructure:"decay" yaml:"decay" range:"[0,1)" help:"of the moving average of weights and running statistics, which is evaluated and saved beside them; 0: no average"`
	Warmup bool    `mapstructure:"warmup" yaml:"warmup" help:"the decay of step n is at most (1+n)/(10+n)"`
}

// Optimizer is the optimizer of a training.
type Optimizer string

// The optimizers.
const (
	SGDOptimizer   Optimizer = "sgd"   // with momentum
	AdamWOptimizer Optimizer = "adamw" // Adam with decoupled weight decay (arXiv:1711.05101)
)

var optimizers = []Optimizer{SGDOptimizer, AdamWOptimizer}

// UnmarshalText reads one of the words above.
func (o *Optimizer) UnmarshalText(text []byte) error { return setting.Parse(o, text, optimizers) }

// ClipBy says how gradients are clipped.
type ClipBy string

// The ways to clip gradients.
const (
	ClipNorm  ClipBy = "norm"  // the norm of all gradients together
	ClipValue ClipBy = "value" // each element
	ClipNone  ClipBy = "none"
)

var clipBys = []ClipBy{ClipNorm, ClipValue, ClipNone}

// UnmarshalText reads one of the words above.
func (c *ClipBy) UnmarshalText(text []byte) error { return setting.Parse(c, text, clipBys) }

// ScheduleBy says when the learning rate changes.
type ScheduleBy string

// The units of a schedule.
const (
	ByEpoch ScheduleBy = "epoch"
	ByStep  ScheduleBy = "step" // the epochs of the schedule and of its warm-up are divided into steps
)

var scheduleBys = []ScheduleBy{ByEpoch, ByStep}

// UnmarshalText reads one of the words above.
func (s *ScheduleBy) UnmarshalText(text []byte) error { return setting.Parse(s, text, scheduleBys) }

// Schedule says how the learning rate changes.
type Schedule string

// The schedules of the learning rate.
const (
	CosineSchedule Schedule = "cosine" // half a cosine from lr to min_lr
	LinearSchedule Schedule = "linear" // a straight line from lr to min_lr
	StepSchedule   Schedule = "step"   // multiplied by step_factor every step_every epochs

	MultiStepSchedule Schedule = "multistep" // multiplied by step_factor at each of the milestones
)

var schedules = []Schedule{CosineSchedule, LinearSchedule, StepSchedule, MultiStepSchedule}

// UnmarshalText reads one of the words above.
func (s *Schedule) UnmarshalText(text []byte) error { return setting.Parse(s, text, schedules) }

// LRScaling says how learning rates follow from the number of images of a step.
type LRScaling string

// The rules of scaling.
const (
	NoScaling     LRScaling = "none"
	LinearScaling LRScaling = "linear" // arXiv:1706.02677
	SqrtScaling   LRScaling = "sqrt"   // arXiv:1404.5997
)

var lrScalings = []LRScaling{NoScaling, LinearScaling, SqrtScaling}

// UnmarshalText reads one of the words above.
func (s *LRScaling) UnmarshalText(text []byte) error { return setting.Parse(s, text, lrScalings) }

// LRFactor returns the factor of the learning rates by LRScaling.
func (c TrainSection) LRFactor() float64 {
	more := float64(c.Batch*c.Accumulate) / float64(c.LRBatch)
	switch c.LRScaling {
	case LinearScaling:
		return more
	case SqrtScaling:
		return math.Sqrt(more)
	}
	return 1
}

// DefaultTrainSection returns the paper's CIFAR-10 settings for Hc-DAS (section 6.4). For Hs-DAS the paper
// uses batches of 128.
func DefaultTrainSection() TrainSection {
	return TrainSection{
		Epochs: 600, Batch: 96, Accumulate: 1, Optimizer: SGDOptimizer, LR: 0.025, LRScaling: NoScaling, LRBatch: 96, Schedule: CosineSchedule, ScheduleBy: ByEpoch,
		StepFactor: 0.97, StepEvery: 1, WarmupFrom: 1e-3, Momentum: 0.9, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 3e-4, NormDecay: true,
		ClipBy: ClipNorm, Clip: 5, EMA: EMA{Warmup: true}, BackboneLR: 1, LayerDecay: 1, AuxiliaryWeight: 0.4, DropPath: 0.2, Recompute: "none",
	}
}

// ownEpochs is the default number of epochs on a folder of the user's own images, which are fewer and larger
// than those of CIFAR-10.
const ownEpochs = 100

// The keys that are for networks of one form only.
const ofChains = "network.layers"

var ofStages = []string{"network.wiring", "network.stage_output"}

// idle returns the keys that this training does not use, each with the reason.
func (c Train) idle() map[string]string {
	keys := map[string]string{}
	for key, why := range c.Data.idle() {
		keys["data."+key] = why
	}
	switch c.Form {
	case Staged:
		keys[ofChains] = "the stages of the genotype have their own number of cells"
	case Chain:
		for _, key := range ofStages {
			keys[key] = "the genotype is a chain, without stages"
		}
	}
	if !c.Network.Auxiliary {
		keys["train.auxiliary_weight"] = "it is used with network.auxiliary=true only"
	}
	t := c.Train
	unless := func(used bool, why string, list ...string) {
		for _, key := range list {
			if !used {
				keys["train."+key] = "it is used with " + why + " only"
			}
		}
	}
	steps, many := t.Schedule == StepSchedule, t.Schedule == MultiStepSchedule
	unless(t.LRScaling != NoScaling, "train.lr_scaling=linear or sqrt", "lr_batch")
	unless(!steps && !many, "the schedules cosine and linear", "min_lr")
	unless(steps || many, "the schedules step and multistep", "step_factor")
	unless(steps, "train.schedule=step", "step_every")
	unless(many, "train.schedule=multistep", "milestones")
	unless(t.Warmup > 0 || t.WarmupSteps > 0, "train.warmup or train.warmup_steps", "warmup_from")
	unless(t.Optimizer == SGDOptimizer, "train.optimizer=sgd", "momentum", "nesterov")
	unless(t.Optimizer == AdamWOptimizer, "train.optimizer=adamw", "beta1", "beta2", "eps")
	unless(t.WeightDecay > 0, "train.weight_decay", "norm_decay")
	unless(t.ClipBy != ClipNone, "train.clip_by=norm or value", "clip")
	unless(t.EMA.Decay > 0, "train.ema.decay", "ema.warmup")
	unless(t.Init != "", "the weights of a checkpoint (train.init)", "probe")
	if t.Probe {
		const why = "a linear probe (train.probe) learns from features that the whole network has computed once"
		for _, key := range []string{"train.freeze_epochs", "train.freeze_norm", "train.sync_norm", "train.backbone_lr", "train.layer_decay", "train.drop_path", "train.recompute", "train.accumulate",
			"train.ema.decay", "train.ema.warmup", "train.auxiliary_weight", "train.patience", "data.validation", "data.balanced", "data.padding", "data.fill", "data.resized_crop",
			"data.crop_scale", "data.crop_ratio", "data.flip", "data.autoaugment", "data.randaugment.ops", "data.randaugment.magnitude", "data.color_jitter.brightness",
			"data.color_jitter.contrast", "data.color_jitter.saturation", "data.color_jitter.hue", "data.cutout", "data.erasing", "data.mixup", "data.cutmix"} {
			keys[key] = why
		}
	}
	unless(t.Init != "", "the weights of a checkpoint (train.init)", "init_ema", "freeze_epochs", "freeze_norm", "backbone_lr", "layer_decay")
	unless(c.Data.Validation > 0, "a validation part (data.validation)", "patience")
	return keys
}

// Validate returns all faults of the section.
func (c TrainSection) Validate() error {
	var f setting.Faults
	checkRates(&f, c.LR, "min_lr", c.MinLR)
	setting.Word(&f, "optimizer", c.Optimizer, optimizers)
	setting.Word(&f, "lr_scaling", c.LRScaling, lrScalings)
	setting.Word(&f, "schedule", c.Schedule, schedules)
	setting.Word(&f, "schedule_by", c.ScheduleBy, scheduleBys)
	setting.Word(&f, "clip_by", c.ClipBy, clipBys)
	setting.Word(&f, "recompute", c.Recompute, recomputes)
	f.Check(c.Schedule != MultiStepSchedule || len(c.Milestones) > 0, "milestones", c.Milestones, "are missing; the schedule multistep needs them, as in [30,60]")
	f.Check(c.WarmupSteps == 0 || c.Warmup == 0, "warmup_steps", c.WarmupSteps, "is a second warm-up beside warmup, %d epochs; set one of them", c.Warmup)
	f.Check(c.Warmup >= 0 && c.Warmup <= c.Epochs, "warmup", c.Warmup, "is not in 0..%d epochs", c.Epochs)
	f.Check(!c.Probe || c.Init != "", "probe", c.Probe, "needs the weights of a checkpoint: train.init")
	f.Check(c.FreezeEpochs >= 0 && c.FreezeEpochs <= c.Epochs, "freeze_epochs", c.FreezeEpochs, "is not in 0..%d epochs", c.Epochs)
	f.Check(!c.Nesterov || c.Momentum > 0 || c.Optimizer != SGDOptimizer, "nesterov", c.Nesterov, "needs momentum")
	f.Ranges(c, nil)
	return f.Err()
}
