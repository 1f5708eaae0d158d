/* test_zoo.c: the networks by name: every weight's shape, PyTorch's names and published sizes, what is refused.
 *
 * Shapes are tables written down from the papers, not from the builders. */
#include "support.h"

/* ------------------------------------------------------------------ sizes */

/* Weights [out,in,kernel,kernel], kernel 1 also for a linear layer, and how many of them each network has. */
typedef struct {
    int out, in, kernel, count[6];
} row;

/* depth 11, 13, 16, 19 */
static const row vgg[] = {
    { 64, 3, 3, { 1, 1, 1, 1 } },    { 64, 64, 3, { 0, 1, 1, 1 } },   { 128, 64, 3, { 1, 1, 1, 1 } },
    { 128, 128, 3, { 0, 1, 1, 1 } }, { 256, 128, 3, { 1, 1, 1, 1 } }, { 256, 256, 3, { 1, 1, 2, 3 } },
    { 512, 256, 3, { 1, 1, 1, 1 } }, { 512, 512, 3, { 3, 3, 5, 7 } }, { 10, 512, 1, { 1, 1, 1, 1 } },
};

/* depth 18, 34; for ImageNet: 18, 34 */
static const row basic[] = {
    { 64, 3, 3, { 1, 1, 0, 0 } },    { 64, 3, 7, { 0, 0, 1, 1 } },      { 64, 64, 3, { 4, 6, 4, 6 } },
    { 128, 64, 3, { 1, 1, 1, 1 } },  { 128, 128, 3, { 3, 7, 3, 7 } },   { 128, 64, 1, { 1, 1, 1, 1 } },
    { 256, 128, 3, { 1, 1, 1, 1 } }, { 256, 256, 3, { 3, 11, 3, 11 } }, { 256, 128, 1, { 1, 1, 1, 1 } },
    { 512, 256, 3, { 1, 1, 1, 1 } }, { 512, 512, 3, { 3, 5, 3, 5 } },   { 512, 256, 1, { 1, 1, 1, 1 } },
    { 10, 512, 1, { 1, 1, 0, 0 } },  { 1000, 512, 1, { 0, 0, 1, 1 } },
};

/* depth 50, 101, 152; for ImageNet: 50, 101, 152 */
static const row bottleneck[] = {
    { 64, 3, 3, { 1, 1, 1, 0, 0, 0 } },         { 64, 3, 7, { 0, 0, 0, 1, 1, 1 } },
    { 64, 64, 1, { 1, 1, 1, 1, 1, 1 } },        { 64, 256, 1, { 2, 2, 2, 2, 2, 2 } },
    { 64, 64, 3, { 3, 3, 3, 3, 3, 3 } },        { 256, 64, 1, { 4, 4, 4, 4, 4, 4 } }, /* with the shortcut's */
    { 128, 256, 1, { 1, 1, 1, 1, 1, 1 } },      { 128, 512, 1, { 3, 3, 7, 3, 3, 7 } },
    { 128, 128, 3, { 4, 4, 8, 4, 4, 8 } },      { 512, 128, 1, { 4, 4, 8, 4, 4, 8 } },
    { 512, 256, 1, { 1, 1, 1, 1, 1, 1 } },      { 256, 512, 1, { 1, 1, 1, 1, 1, 1 } },
    { 256, 1024, 1, { 5, 22, 35, 5, 22, 35 } }, { 256, 256, 3, { 6, 23, 36, 6, 23, 36 } },
    { 1024, 256, 1, { 6, 23, 36, 6, 23, 36 } }, { 1024, 512, 1, { 1, 1, 1, 1, 1, 1 } },
    { 512, 1024, 1, { 1, 1, 1, 1, 1, 1 } },     { 512, 2048, 1, { 2, 2, 2, 2, 2, 2 } },
    { 512, 512, 3, { 3, 3, 3, 3, 3, 3 } },      { 2048, 512, 1, { 3, 3, 3, 3, 3, 3 } },
    { 2048, 1024, 1, { 1, 1, 1, 1, 1, 1 } },    { 10, 2048, 1, { 1, 1, 1, 0, 0, 0 } },
    { 1000, 2048, 1, { 0, 0, 0, 1, 1, 1 } },
};

typedef struct {
    const char *name;
    int         depth, layers; /* in the name; weights         */
    const row  *rows;          /* and which column of the counts */
    int         column;
    bool        imagenet;
    int64_t     published; /* in PyTorch, with biases and affine norms; 0: not known */
    double      gmacs;     /* by torchvision, rounded to 0.01; 0: not known          */
} model;

static const model models[] = {
    { "vgg11", 11, 9, vgg, 0, false, 9231114, 0 },
    { "vgg13", 13, 11, vgg, 1, false, 9416010, 0 },
    { "vgg16", 16, 14, vgg, 2, false, 14728266, 0 },
    { "vgg19", 19, 17, vgg, 3, false, 20040522, 0 },
    { "resnet18", 18, 21, basic, 0, false, 11171146, 0 },
    { "resnet34", 34, 37, basic, 1, false, 0, 0 },
    { "resnet50", 50, 54, bottleneck, 0, false, 0, 0 },
    { "resnet101", 101, 105, bottleneck, 1, false, 0, 0 },
    { "resnet152", 152, 156, bottleneck, 2, false, 0, 0 },
    { "resnet18 for ImageNet", 18, 21, basic, 2, true, 11689512, 1.81 },
    { "resnet34 for ImageNet", 34, 37, basic, 3, true, 21797672, 3.66 },
    { "resnet50 for ImageNet", 50, 54, bottleneck, 3, true, 25557032, 4.09 },
    { "resnet101 for ImageNet", 101, 105, bottleneck, 4, true, 44549160, 7.80 },
    { "resnet152 for ImageNet", 152, 156, bottleneck, 5, true, 60192808, 11.51 },
};
enum { VGG11 = 0, RESNET50 = 6, RESNET50_IMAGENET = 11, MODELS = sizeof models / sizeof *models };

/* Owned here, since a failed assertion jumps. */
typedef struct {
    const model *model; /* the test's own, NULL: none */
    plm_ctx     *ctx;
    plm_graph   *g;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    if (!f || !(f->ctx = plm_ctx_new(&(plm_ctx_desc){ .threads = 2 }))) return -1;
    f->model = *state;
    *state   = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    plm_graph_free(f->g);
    plm_ctx_free(f->ctx);
    free(f);
    return 0;
}

static plm_graph *build(plm_ctx *ctx, const model *m, bool learned)
{
    const int64_t  side = m->imagenet ? 224 : 32;
    plm_graph     *g    = plm_graph_new(ctx);
    const plm_node x    = plm_nn_input(g, plm_shape_of(3, side, side));
    plm_node       y;
    if (m->rows == vgg)
        y = plm_zoo_vgg(x, 10, &(plm_vgg_desc){ .depth = m->depth, .bias = learned, .affine = learned });
    else
        y = plm_zoo_resnet(
            x, m->imagenet ? 1000 : 10,
            &(plm_resnet_desc){ .depth = m->depth, .imagenet = m->imagenet, .bias = learned, .affine = learned });
    plm_graph_output(y, "logits");
    return g;
}

static const row *end_of(const row *rows)
{
    if (rows == vgg) return vgg + sizeof vgg / sizeof *vgg;
    return rows == basic ? basic + sizeof basic / sizeof *basic : bottleneck + sizeof bottleneck / sizeof *bottleneck;
}

/* The graph has as many weights of this shape as the row says. */
static void check_row(const plm_graph *g, const row *r, int count)
{
    int found = 0;
    for (int i = 0; i < plm_graph_layer_count(g); i++) {
        const plm_layer *l = plm_graph_layer(g, i);
        found += l->d_out == r->out && l->d_in == r->in && l->kernel_h == r->kernel && l->kernel_w == r->kernel;
    }
    if (found != count) print_error("[%d,%d] %dx%d\n", r->out, r->in, r->kernel, r->kernel);
    assert_int_equal(found, count);
}

static void test_shapes(void **state)
{
    fixture     *f = *state;
    const model *m = f->model;
    f->g           = build(f->ctx, m, false);
    assert_ok(f->ctx);
    int64_t numbers = 0;
    for (const row *r = m->rows; r < end_of(m->rows); r++) {
        check_row(f->g, r, r->count[m->column]);
        numbers += (int64_t)r->count[m->column] * r->out * r->in * r->kernel * r->kernel;
    }
    const plm_graph_info info = plm_graph_summary(f->g);
    assert_int_equal(info.parameters, numbers);
    assert_int_equal(info.layers, m->layers);
    assert_int_equal(info.depth, m->rows == vgg ? m->layers : m->depth);
    if (m->gmacs > 0) assert_close((double)info.macs * 1e-9, m->gmacs, 0.0051, 0);

    const plm_layer *first = plm_graph_layer(f->g, 0), *last = plm_graph_layer(f->g, m->layers - 1);
    assert_string_equal(first->name, m->rows == vgg ? "features.0" : "conv1");
    assert_string_equal(last->name, m->rows == vgg ? "classifier" : m->imagenet ? "fc" : "linear");
    assert_string_equal(last->kind, "linear");
    assert_true(plm_shape_equal(plm_graph_output_shape(f->g), plm_shape_of(m->imagenet ? 1000 : 10)));
}

static void test_published_size(void **state)
{
    fixture *f = *state;
    f->g       = build(f->ctx, f->model, true);
    assert_ok(f->ctx);
    assert_int_equal(plm_graph_summary(f->g).parameters, f->model->published);
}

/* ------------------------------------------------------------------ names and shapes */

/* A parameter and its shape; a name of NULL ends the list. */
typedef struct {
    const char *name;
    int64_t     shape[4];
} named;

static void check_names(const plm_graph *g, const named *list)
{
    for (; list->name; list++) {
        const plm_param *p    = plm_graph_param_named(g, list->name);
        int              rank = 0;
        if (!p) print_error("there is no %s\n", list->name);
        assert_non_null(p);
        while (rank < 4 && list->shape[rank]) rank++;
        assert_true(plm_shape_equal(plm_param_shape(p), plm_shape_from(rank, list->shape)));
    }
}

/* The image that leaves a node. */
static void check_image(const plm_graph *g, const char *name, int64_t c, int64_t h, int64_t w)
{
    plm_node_info info = { .name = "" };
    for (int i = 0; i < plm_graph_node_count(g) && strcmp(info.name, name) != 0; i++)
        assert_true(plm_graph_node_info(g, i, &info));
    assert_string_equal(info.name, name);
    assert_true(plm_shape_equal(info.shape, plm_shape_of(c, h, w)));
}

static void test_names_of_vgg(void **state)
{
    fixture *f = *state;
    f->g       = build(f->ctx, &models[VGG11], true);
    /* the places of torchvision's vgg11_bn */
    static const char *const names[] = { "features.0",  "features.4",  "features.8",  "features.11", "features.15",
                                         "features.18", "features.22", "features.25", "classifier" };
    for (int i = 0; i < 9; i++) assert_string_equal(plm_graph_layer(f->g, i)->name, names[i]);
    check_names(f->g, (named[]){ { "features.0.weight", { 64, 3, 3, 3 } },
                                 { "features.0.bias", { 64 } },
                                 { "features.1.weight", { 64 } },
                                 { "features.1.bias", { 64 } },
                                 { "features.1.running_mean", { 64 } },
                                 { "features.26.running_var", { 512 } },
                                 { "classifier.weight", { 10, 512 } },
                                 { "classifier.bias", { 10 } },
                                 { 0 } });
    check_image(f->g, "features.3", 64, 16, 16);
    check_image(f->g, "features.28", 512, 1, 1);
}

static void test_names_of_preactivation(void **state)
{
    fixture *f = *state;
    f->g       = build(f->ctx, &models[RESNET50], true);
    check_names(f->g, (named[]){ { "conv1.weight", { 64, 3, 3, 3 } },
                                 { "layer1.0.bn1.running_mean", { 64 } },
                                 { "layer1.0.conv1.weight", { 64, 64, 1, 1 } },
                                 { "layer1.0.conv2.weight", { 64, 64, 3, 3 } },
                                 { "layer1.0.bn3.weight", { 64 } },
                                 { "layer1.0.conv3.weight", { 256, 64, 1, 1 } },
                                 { "layer1.0.shortcut.0.weight", { 256, 64, 1, 1 } },
                                 { "layer4.2.bn1.bias", { 2048 } },
                                 { "layer4.2.conv3.weight", { 2048, 512, 1, 1 } },
                                 { "linear.weight", { 10, 2048 } },
                                 { "linear.bias", { 10 } },
                                 { 0 } });
    assert_null(plm_graph_param_named(f->g, "layer1.1.shortcut.0.weight"));
    assert_null(plm_graph_param_named(f->g, "bn1.running_mean"));
    check_image(f->g, "layer2.0.conv1", 128, 32, 32);
    check_image(f->g, "layer2.0.conv2", 128, 16, 16);
    check_image(f->g, "avgpool", 2048, 1, 1);
}

static void test_names_of_postactivation(void **state)
{
    fixture *f = *state;
    f->g       = build(f->ctx, &models[RESNET50_IMAGENET], true);
    check_names(f->g, (named[]){ { "conv1.weight", { 64, 3, 7, 7 } },
                                 { "bn1.running_var", { 64 } },
                                 { "layer1.0.conv1.weight", { 64, 64, 1, 1 } },
                                 { "layer1.0.bn3.weight", { 256 } },
                                 { "layer1.0.downsample.0.weight", { 256, 64, 1, 1 } },
                                 { "layer1.0.downsample.1.bias", { 256 } },
                                 { "layer4.2.bn3.running_mean", { 2048 } },
                                 { "fc.weight", { 1000, 2048 } },
                                 { "fc.bias", { 1000 } },
                                 { 0 } });
    assert_null(plm_graph_param_named(f->g, "layer1.1.downsample.0.weight"));
    /* torchvision's state has 320 tensors, 53 of which count batches */
    assert_int_equal(plm_graph_param_count(f->g), 320 - 53);
    check_image(f->g, "conv1", 64, 112, 112);
    check_image(f->g, "maxpool", 64, 56, 56);
    check_image(f->g, "layer2.0.conv1", 128, 56, 56);
    check_image(f->g, "layer2.0.conv2", 128, 28, 28);
    check_image(f->g, "avgpool", 2048, 1, 1);
}

static void test_defaults_and_other_images(void **state)
{
    fixture *f = *state;
    f->g       = plm_graph_new(f->ctx);
    plm_zoo_vgg(plm_nn_input(f->g, plm_shape_of(3, 70, 32)), 10, NULL);
    assert_ok(f->ctx);
    assert_int_equal(plm_graph_layer_count(f->g), 14);
    assert_int_equal(plm_graph_layer(f->g, 13)->d_in, 512 * 2);
    plm_graph_free(f->g);
    f->g = plm_graph_new(f->ctx);
    plm_zoo_resnet(plm_nn_input(f->g, plm_shape_of(1, 28, 28)), 10, NULL);
    assert_ok(f->ctx);
    assert_int_equal(plm_graph_layer_count(f->g), 21);
    assert_int_equal(plm_graph_layer(f->g, 20)->d_in, 512); /* 28, 14, 7, 4 */
    plm_graph_free(f->g);
    f->g = plm_graph_new(f->ctx);
    plm_zoo_resnet(plm_nn_input(f->g, plm_shape_of(3, 224, 192)), 10, &(plm_resnet_desc){ .imagenet = true });
    assert_ok(f->ctx);
    check_image(f->g, "avgpool", 512, 1, 1); /* of 7 x 6 */
}

/* ------------------------------------------------------------------ what is refused */

static void test_errors(void **state)
{
    fixture *f       = *state;
    f->g             = plm_graph_new(f->ctx);
    const plm_node x = plm_nn_input(f->g, plm_shape_of(3, 32, 32)), empty = { f->g, -1 };
    assert_int_equal(plm_zoo_vgg(x, 10, &(plm_vgg_desc){ .depth = 12 }).id, -1);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "vgg: depth 12, 10 classes: depth is 11, 13, 16 or 19");
    assert_int_equal(plm_zoo_vgg(x, 0, NULL).id, -1);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "vgg: depth 16, 0 classes");
    assert_int_equal(plm_zoo_resnet(x, 10, &(plm_resnet_desc){ .depth = 20 }).id, -1);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "resnet: depth 20, 10 classes: depth is 18, 34, 50, 101 or 152");
    assert_int_equal(plm_zoo_resnet(x, -1, NULL).id, -1);
    assert_error(f->ctx, PLM_ERR_ARGUMENT, "resnet: depth 18, -1 classes");
    assert_int_equal(plm_graph_node_count(f->g), 1); /* refused before anything is built */
    assert_int_equal(plm_zoo_vgg(empty, 10, NULL).id, -1);
    assert_int_equal(plm_zoo_resnet(empty, 10, NULL).id, -1);
    assert_int_equal(plm_zoo_resnet((plm_node){ NULL, -1 }, 10, NULL).id, -1);
    assert_ok(f->ctx);
}

/* Images that do not fit, and the sentence of the module that says so. */
static const struct {
    bool        vgg, imagenet;
    int64_t     shape[3];
    const char *sentence;
} misfits[] = {
    { true, false, { 1, 8, 8 }, "max_pool2d at features.33: a 2x2 window is larger than its input [512,1,1]" },
    { true, false, { 64 }, "conv2d at features.0: its input is [64] without the batch axis, expected [channels," },
    { false, false, { 1, 8, 8 }, "avg_pool2d at avgpool: a 4x4 window is larger than its input [512,1,1]" },
    { false, false, { 64 }, "conv2d at conv1: its input is [64] without the batch axis, expected [channels," },
};

static void test_images_that_do_not_fit(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < sizeof misfits / sizeof *misfits; i++) {
        plm_graph_free(f->g);
        f->g             = plm_graph_new(f->ctx);
        const plm_node x = plm_nn_input(f->g, plm_shape_from(misfits[i].shape[1] ? 3 : 1, misfits[i].shape));
        const plm_node y = misfits[i].vgg
                               ? plm_zoo_vgg(x, 10, NULL)
                               : plm_zoo_resnet(x, 10, &(plm_resnet_desc){ .imagenet = misfits[i].imagenet });
        assert_int_equal(y.id, -1);
        assert_error(f->ctx, PLM_ERR_SHAPE, misfits[i].sentence);
    }
}

#define zoo_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest others[] = {
        zoo_test(test_names_of_vgg),
        zoo_test(test_names_of_preactivation),
        zoo_test(test_names_of_postactivation),
        zoo_test(test_defaults_and_other_images),
        zoo_test(test_errors),
        zoo_test(test_images_that_do_not_fit),
    };
    struct CMUnitTest sizes[MODELS], published[MODELS];
    size_t            known = 0;
    for (int i = 0; i < MODELS; i++) {
        const struct CMUnitTest size = { models[i].name, test_shapes, setup, teardown, (void *)&models[i] };
        sizes[i]                     = size;
        published[known]             = size;
        published[known].test_func   = test_published_size;
        known += models[i].published > 0;
    }
    int failed = cmocka_run_group_tests_name("shapes", sizes, NULL, NULL);
    failed += _cmocka_run_group_tests("published sizes", published, known, NULL, NULL);
    return failed + cmocka_run_group_tests(others, NULL, NULL);
}
