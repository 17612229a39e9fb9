/* The inner loops of tools/train_encoders.py. Compile without contraction of products and sums, so that every machine computes the same bits.
 *
 * A bag of tokens is a row in CSR form: `ids[starts[r]..starts[r + 1]]` with their `weights`. A table is [V][dim]. */
#include <math.h>
#include <stdint.h>

/* sums[i] = the weighted sum of the vectors in the bag rows[i]. */
void gather(int64_t n, const int64_t *rows, const int64_t *starts, const int32_t *ids, const float *weights, const float *table, int64_t dim, float *sums) {
    for (int64_t i = 0; i < n; i++) {
        float *sum = sums + i * dim;
        for (int64_t d = 0; d < dim; d++) sum[d] = 0;
        for (int64_t p = starts[rows[i]]; p < starts[rows[i] + 1]; p++) {
            const float *vector = table + (int64_t)ids[p] * dim, weight = weights[p];
            for (int64_t d = 0; d < dim; d++) sum[d] += weight * vector[d];
        }
    }
}

/* Adds the gradients of the sums to those of the table, and marks the tokens that have any. */
void scatter(int64_t n, const int64_t *rows, const int64_t *starts, const int32_t *ids, const float *weights, const float *of_sums, int64_t dim, float *of_table, uint8_t *marks) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t p = starts[rows[i]]; p < starts[rows[i] + 1]; p++) {
            float *gradient = of_table + (int64_t)ids[p] * dim, weight = weights[p];
            marks[ids[p]] = 1;
            for (int64_t d = 0; d < dim; d++) gradient[d] += weight * of_sums[i * dim + d];
        }
}

/* One step of Adam for the marked tokens; clears their gradients and marks. `unbias`: 1 - beta^steps of both moments. */
void adam(int64_t n, int64_t dim, float *table, float *gradients, float *first, float *second, uint8_t *marks, float rate, float unbias_first, float unbias_second) {
    for (int64_t i = 0; i < n; i++) {
        if (!marks[i]) continue;
        marks[i] = 0;
        float *t = table + i * dim, *g = gradients + i * dim, *m = first + i * dim, *v = second + i * dim;
        for (int64_t d = 0; d < dim; d++) {
            m[d] = 0.9f * m[d] + 0.1f * g[d];
            v[d] = 0.99f * v[d] + 0.01f * (g[d] * g[d]);
            t[d] -= rate * (m[d] / unbias_first) / (sqrtf(v[d] / unbias_second) + 1e-8f);
            g[d] = 0;
        }
    }
}

/* e^x for x <= 0, by the polynomial of Cephes: the C library's differs between processors. */
static float exponential(float x) {
    if (x < -80) return 0;
    int32_t k = (int32_t)(x * 1.44269504f - 0.5f);
    float r = x - (float)k * 0.693359375f + (float)k * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    union { int32_t bits; float value; } power = {(k + 127) << 23};
    return (p * r * r + r + 1) * power.value;
}

/* Replaces each row by its softmax. */
void softmax(int64_t n, float *rows) {
    for (int64_t i = 0; i < n; i++) {
        float *row = rows + i * n, top = row[0], sum = 0;
        for (int64_t j = 1; j < n; j++) top = row[j] > top ? row[j] : top;
        for (int64_t j = 0; j < n; j++) sum += row[j] = exponential(row[j] - top);
        for (int64_t j = 0; j < n; j++) row[j] /= sum;
    }
}
