# The tiny InfMAE that predicts features of a frozen encoder which you name, in place of pixels. Not
# the paper's.
_base_ = "./infmae_convvit-tiny-p16_1xb32-coslr-20e_inf-mini.py"

# ============ Often changed ============
# Any encoder that mmspec reads, or a backbone of mmpretrain as
# dict(type="mmpretrain.VisionTransformer", out_type="featmap", ...,
# init_cfg=dict(type="mmspec.PretrainedEncoder", checkpoint=FILE)).
teacher = "InfMAE.pth"
teacher_dims = 768  # channels of its last map
mean, std = [108.375] * 3, [51.0] * 3  # as it wants its images; ImageNet's for most others

# ============ Rarely changed ============
targets = dict(type="mmspec.TeacherTarget", teacher=teacher, mean=mean, std=std)
model = dict(head=dict(targets=targets), neck=dict(out_dims=teacher_dims))
