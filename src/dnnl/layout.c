/* layout.c: plm__layout and oneDNN's memory descriptors say the same; here one becomes the other.
 * oneDNN has no rank 0: a scalar is seen as one element of rank 1. */
#include "dnnl/engine.h"

#include <string.h>

/* The fields of a descriptor that describe where elements are. */
typedef struct {
    int               rank, blocks;
    const dnnl_dim_t *dims, *padded, *padding_before, *strides, *block, *axis;
} fields;

/* oneDNN's arrays are longer than ours. */
typedef struct {
    dnnl_dims_t at;
} extents;

static extents widen(const int64_t *dim, int rank)
{
    extents x = { { 0 } };
    for (int a = 0; a < rank; a++) x.at[a] = dim[a];
    return x;
}

#if DNNL_VERSION_MAJOR >= 3

static bool read_fields(const_dnnl_memory_desc_t m, fields *f)
{
    dnnl_format_kind_t kind   = dnnl_format_kind_undef;
    dnnl_data_type_t   type   = dnnl_data_type_undef;
    dnnl_dim_t         offset = 0;
    const dnnl_dims_t *dims, *padded, *before, *strides, *block, *axis;
    bool ok = dnnl_memory_desc_query(m, dnnl_query_format_kind, &kind) == dnnl_success && kind == dnnl_blocked &&
              dnnl_memory_desc_query(m, dnnl_query_data_type, &type) == dnnl_success && type == dnnl_f32 &&
              dnnl_memory_desc_query(m, dnnl_query_submemory_offset_s64, &offset) == dnnl_success && offset == 0 &&
              dnnl_memory_desc_query(m, dnnl_query_ndims_s32, &f->rank) == dnnl_success &&
              dnnl_memory_desc_query(m, dnnl_query_dims, &dims) == dnnl_success &&
              dnnl_memory_desc_query(m, dnnl_query_padded_dims, &padded) == dnnl_success &&
              dnnl_memory_desc_query(m, dnnl_query_padded_offsets, &before) == dnnl_success &&
              dnnl_memory_desc_query(m, dnnl_query_strides, &strides) == dnnl_success &&
              dnnl_memory_desc_query(m, dnnl_query_inner_nblks_s32, &f->blocks) == dnnl_success &&
              dnnl_memory_desc_query(m, dnnl_query_inner_blks, &block) == dnnl_success &&
              dnnl_memory_desc_query(m, dnnl_query_inner_idxs, &axis) == dnnl_success;
    if (!ok) return false;
    f->dims           = *dims;
    f->padded         = *padded;
    f->padding_before = *before;
    f->strides        = *strides;
    f->block          = *block;
    f->axis           = *axis;
    return true;
}

/* Descriptors with blocks can be made from a format tag only: is it this one?  `exact` also compares strides of extents
 * of 1: they say nothing about memory, but by them kernels recognise the formats that they take. */
static dnnl_status_t try_tag(const plm__layout *l, int tag, bool exact, plm__md *m)
{
    plm__layout   got;
    extents       dim    = widen(l->dim, l->rank);
    dnnl_status_t status = dnnl_memory_desc_create_with_tag(m, l->rank, dim.at, dnnl_f32, (dnnl_format_tag_t)tag);
    if (status != dnnl_success) return status;
    if (plm__md_layout(*m, &got) && (exact ? memcmp(&got, l, sizeof got) == 0 : plm__layout_same(&got, l)))
        return dnnl_success;
    plm__md_drop(m);
    return dnnl_unimplemented;
}

static dnnl_status_t search_tags(plm__engine *e, const plm__layout *l, bool exact, plm__md *m)
{
    for (int i = 0; i < e->tags; i++)
        if (try_tag(l, e->tag[i], exact, m) == dnnl_success) return dnnl_success;
    for (int tag = dnnl_format_tag_any + 1; tag < dnnl_format_tag_last; tag++) {
        dnnl_status_t status = try_tag(l, tag, exact, m);
        if (status == dnnl_out_of_memory) return status;
        if (status != dnnl_success) continue;
        if (e->tags < PLM__RECENT_TAGS) e->tags++;
        memmove(e->tag + 1, e->tag, (size_t)(e->tags - 1) * sizeof e->tag[0]);
        e->tag[0] = tag;
        return dnnl_success;
    }
    return dnnl_unimplemented;
}

static dnnl_status_t make_blocked(plm__engine *e, const plm__layout *l, plm__md *m)
{
    dnnl_status_t status = search_tags(e, l, true, m);
    return status == dnnl_unimplemented ? search_tags(e, l, false, m) : status;
}

static dnnl_status_t make_given(plm__engine *e, const plm__layout *l, plm__md *m)
{
    if (l->blocks > 0) return make_blocked(e, l, m);
    if (plm__layout_padded(l)) return dnnl_unimplemented;
    extents dim = widen(l->dim, l->rank), stride = widen(l->stride, l->rank);
    return dnnl_memory_desc_create_with_strides(m, l->rank, dim.at, dnnl_f32, stride.at);
}

#else

static bool read_fields(const_dnnl_memory_desc_t m, fields *f)
{
    const dnnl_blocking_desc_t *b = &m->format_desc.blocking;
    if (m->format_kind != dnnl_blocked || m->data_type != dnnl_f32 || m->offset0 != 0 || m->extra.flags != 0)
        return false;
    f->rank           = m->ndims;
    f->dims           = m->dims;
    f->padded         = m->padded_dims;
    f->padding_before = m->padded_offsets;
    f->strides        = b->strides;
    f->blocks         = b->inner_nblks;
    f->block          = b->inner_blks;
    f->axis           = b->inner_idxs;
    return true;
}

static dnnl_status_t make_given(plm__engine *e, const plm__layout *l, plm__md *m)
{
    (void)e;
    memset(m, 0, sizeof *m);
    m->ndims       = l->rank;
    m->data_type   = dnnl_f32;
    m->format_kind = dnnl_blocked;

    dnnl_blocking_desc_t *b = &m->format_desc.blocking;
    for (int i = 0; i < l->rank; i++) {
        m->dims[i]        = l->dim[i];
        m->padded_dims[i] = l->padded[i];
        b->strides[i]     = l->stride[i];
    }
    b->inner_nblks = l->blocks;
    for (int i = 0; i < l->blocks; i++) {
        b->inner_blks[i] = l->block[i];
        b->inner_idxs[i] = l->axis[i];
    }
    return dnnl_success;
}

#endif

static dnnl_status_t make_any(const plm__layout *l, plm__md *m)
{
    extents dim = widen(l->dim, l->rank);
    return dnnl_memory_desc_create_with_tag(m, l->rank, dim.at, dnnl_f32, dnnl_format_tag_any);
}

dnnl_status_t plm__md_make(plm__engine *e, const plm__layout *l, plm__md *m)
{
    plm__layout scalar;
    if (l->rank == 0) {
        scalar = plm__layout_plain(plm_shape_of(1));
        l      = &scalar;
    }
    return l->blocks == PLM__ANY ? make_any(l, m) : make_given(e, l, m);
}

bool plm__md_layout(const_dnnl_memory_desc_t m, plm__layout *l)
{
    fields f = { 0 };
    memset(l, 0, sizeof *l);
    if (!m || !read_fields(m, &f) || f.rank > PLM_MAX_RANK || f.blocks > PLM__MAX_BLOCKS) return false;
    l->rank   = f.rank;
    l->blocks = f.blocks;
    for (int i = 0; i < f.rank; i++) {
        if (f.padding_before[i] != 0) return false;
        l->dim[i]    = f.dims[i];
        l->padded[i] = f.padded[i];
        l->stride[i] = f.strides[i];
    }
    for (int i = 0; i < f.blocks; i++) {
        l->block[i] = (int32_t)f.block[i];
        l->axis[i]  = (int32_t)f.axis[i];
    }
    /* Compensation and the like is kept behind the elements; version 3 tells of it only by the size. */
    return dnnl_memory_desc_get_size(m) == (size_t)plm__layout_floats(l) * sizeof(float);
}

plm__layout plm__layout_channels_last(plm_shape s)
{
    plm__layout l = plm__layout_plain(s);
    l.stride[1]   = 1;
    l.stride[3]   = s.dim[1];
    l.stride[2]   = s.dim[1] * s.dim[3];
    l.stride[0]   = s.dim[1] * s.dim[3] * s.dim[2];
    return l;
}

plm__layout plm__layout_channels_blocked(plm_shape s, int32_t b)
{
    plm__layout l = plm__layout_plain(s);
    l.blocks      = 1;
    l.block[0]    = b;
    l.axis[0]     = 1;
    l.padded[1]   = (s.dim[1] + b - 1) / b * b;
    l.stride[3]   = b;
    l.stride[2]   = b * s.dim[3];
    l.stride[1]   = b * s.dim[3] * s.dim[2];
    l.stride[0]   = l.padded[1] * s.dim[3] * s.dim[2];
    return l;
}

plm__layout plm__layout_like(const plm__layout *l, plm_shape s)
{
    if (l->rank == 4 && s.rank == 4) {
        const plm__layout last = plm__layout_channels_last(plm__layout_shape(l));
        if (l->blocks == 1 && l->axis[0] == 1) return plm__layout_channels_blocked(s, l->block[0]);
        if (plm__layout_same(l, &last) && !plm__layout_is_plain(l)) return plm__layout_channels_last(s);
    }
    return plm__layout_plain(s);
}
