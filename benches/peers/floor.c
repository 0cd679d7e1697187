/* What no fit can do without, as a program that does nothing else: start, read every cell once, and take
 *
 *     dense FILE                  Σ x and Σ x ln x of an array of doubles
 *     masked FILE SEEN            the same of the cells that are observed
 *     cells COORDS VALUES PAIRS   the table of every pair of modes, `0-1,1-2,…`, and Σ x ln x
 *
 * Files are those of inputs.py: arrays in C order behind a head of 128 bytes; coordinates are 32-bit integers, a row
 * of ten for each cell. Nothing is checked. `compare.py` compiles it with
 *
 *     cc -O3 -march=native -ffast-math floor.c -lm
 *
 * so that logarithms are those of the vector library of the system, of up to four units in the last place.
 */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { HEAD = 128, MODES = 10, MOST = 128, STRIP = 1024 };

static const char *cells_of(const char *path, size_t *bytes) {
    struct stat about;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &about) != 0) {
        perror(path);
        exit(1);
    }
    const char *start = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (start == MAP_FAILED) {
        perror(path);
        exit(1);
    }
    *bytes = (size_t)about.st_size - HEAD;
    return start + HEAD;
}

int main(int count, char **words) {
    size_t bytes;
    double sum = 0, entropy = 0;
    if (count == 3 && strcmp(words[1], "dense") == 0) {
        const double *x = (const double *)cells_of(words[2], &bytes);
        for (size_t k = 0; k < bytes / 8; k++) {
            sum += x[k];
            entropy += x[k] * log(x[k]);
        }
    } else if (count == 4 && strcmp(words[1], "masked") == 0) {
        const double *x = (const double *)cells_of(words[2], &bytes);
        const unsigned char *seen = (const unsigned char *)cells_of(words[3], &bytes);
        double strip[STRIP];
        for (size_t from = 0; from < bytes; from += STRIP) {
            size_t n = bytes - from < STRIP ? bytes - from : STRIP;
            for (size_t k = 0; k < n; k++) {
                strip[k] = seen[from + k] ? x[from + k] : 1;
            }
            for (size_t k = 0; k < n; k++) {
                sum += strip[k] - (1 - seen[from + k]);
                entropy += strip[k] * log(strip[k]);
            }
        }
    } else if (count == 5 && strcmp(words[1], "cells") == 0) {
        const int *cell = (const int *)cells_of(words[2], &bytes);
        const double *x = (const double *)cells_of(words[3], &bytes);
        int pairs = 0, first[MOST], second[MOST];
        for (char *word = strtok(words[4], ","); word != NULL && pairs < MOST; word = strtok(NULL, ",")) {
            if (sscanf(word, "%d-%d", &first[pairs], &second[pairs]) == 2) {
                pairs++;
            }
        }
        double *tables = calloc((size_t)pairs * MOST * MOST, sizeof *tables);
        if (tables == NULL) {
            return 1;
        }
        for (size_t k = 0; k < bytes / 8; k++, cell += MODES) {
            for (int p = 0; p < pairs; p++) {
                tables[(p * MOST + cell[first[p]]) * MOST + cell[second[p]]] += x[k];
            }
            entropy += x[k] * log(x[k]);
        }
        for (int k = 0; k < MOST * MOST; k++) {
            sum += tables[k];
        }
    } else {
        fprintf(stderr, "floor dense FILE | masked FILE SEEN | cells COORDS VALUES PAIRS\n");
        return 2;
    }
    printf("%.17g %.17g\n", sum, entropy);
    return 0;
}
